/** A text is read as Go reads booleans. */
type Flag = boolean | string

/** Attributes of outputs that write an image. */
interface ImageAttributes {
  /** One name or several, separated by commas; default: the tags of the build. */
  readonly name?: string | undefined
  /** Default: gzip where layers leave the machine. */
  readonly compression?: 'uncompressed' | 'gzip' | 'zstd' | undefined
  /** 0 to 9 for gzip, to 22 for zstd. */
  readonly 'compression-level'?: `${number}` | undefined
  /** The layers of the base as well. */
  readonly 'force-compression'?: Flag | undefined
  /** False: Docker's media types. */
  readonly 'oci-mediatypes'?: Flag | undefined
  /** Seconds of the Unix epoch. */
  readonly 'source-date-epoch'?: `${number}` | undefined
  /** Times in layers later than `source-date-epoch` become it. */
  readonly 'rewrite-timestamp'?: Flag | undefined
  /** `annotation.KEY`, `annotation-manifest-descriptor.KEY`, `annotation[PLATFORM].KEY`. */
  readonly [annotation: `annotation${string}`]: string | undefined
}

interface PushAttributes extends ImageAttributes {
  readonly push?: Flag | undefined
  readonly 'push-by-digest'?: Flag | undefined
  readonly 'registry.insecure'?: Flag | undefined
  /** Whether the store keeps it under its names. */
  readonly store?: Flag | undefined
  /** Without effect: an image of the store needs no unpacking. */
  readonly unpack?: Flag | undefined
}

interface LayoutAttributes extends ImageAttributes {
  /** File, with `tar=false` directory; `-` for standard output. */
  readonly dest?: string | undefined
  readonly tar?: Flag | undefined
}

interface FileAttributes {
  readonly 'source-date-epoch'?: `${number}` | undefined
}

/** What each output takes: one that is new has a line here. */
interface OutputAttributes {
  image: PushAttributes
  registry: PushAttributes
  oci: LayoutAttributes
  docker: LayoutAttributes
  tar: FileAttributes & {
    /** `-`, the default, for standard output. */
    readonly dest?: string | undefined
  }
  local: FileAttributes & {
    /** Directory. */
    readonly dest: string
    /** What is there stays. */
    readonly mode?: 'copy' | undefined
  }
  /** It writes nothing. */
  cacheonly: { readonly dest?: undefined }
}

/** Names of the outputs. */
export type OutputType = keyof OutputAttributes

/** One `-o`: a type and its attributes, as on the command line. */
export type OutputSpec = {
  [Type in OutputType]: { readonly type: Type } & OutputAttributes[Type]
}[OutputType]
