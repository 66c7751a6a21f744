import { BuilderError } from '../base/errors.ts'
import { compressions, type Compression, type CompressionName } from '../oci/compressions.ts'
import { canonicalName } from '../oci/reference.ts'
import { readAnnotations, type Annotation } from './annotations.ts'
import type { Attributes } from './attributes.ts'
import type { ExportDefaults, Flag, OutputSpec } from './types.ts'

/** Attributes of outputs that write an image. */
export interface ImageAttributes {
  /** One name or several, separated by commas; default: the tags of the build. */
  readonly name?: string | undefined
  /** Default: gzip where layers leave the machine. */
  readonly compression?: CompressionName | undefined
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
  /** `annotation.KEY`, `annotation-manifest-descriptor.KEY`, `annotation-index.KEY`, `annotation[PLATFORM].KEY`. */
  readonly [annotation: `annotation${string}`]: string | undefined
}

/** What the outputs that write an image have in common (BuildKit's image exporter options). */
export interface ImageSettings {
  /** Canonical. */
  readonly names: readonly string[]
  /** Undefined: nobody asked; each output has its own default. */
  readonly compression: Compression | undefined
  readonly level: number | undefined
  readonly force: boolean
  readonly mediaTypes: 'oci' | 'docker'
  readonly annotations: readonly Annotation[]
  /** Seconds. */
  readonly sourceDateEpoch: number | undefined
  readonly rewriteTimestamp: boolean
}

/** Whose highest level bounds that of an output which names no compression. */
const DEFAULT = compressions.find(({ name }) => name === 'gzip')!
const LAST_EPOCH = 253_402_300_799

/** Takes the attributes that every image output knows. @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED */
export function readImageSettings(output: OutputSpec, attributes: Attributes, defaults: ExportDefaults): ImageSettings {
  const compression = readCompression(output.type, attributes)
  const ociMediaTypes = attributes.flag('oci-mediatypes') ?? true
  const sourceDateEpoch = readEpoch(attributes, defaults)
  const rewriteTimestamp = attributes.flag('rewrite-timestamp') ?? false
  if (!ociMediaTypes && (compression.kind === 'zstd' || isIndexed(compression.kind)))
    throw invalid(output.type, `"compression=${compression.kind}" conflicts with "oci-mediatypes=false"`)
  if (rewriteTimestamp && sourceDateEpoch === undefined && defaults.isEpochPending !== true) {
    throw invalid(
      output.type,
      'rewrite-timestamp needs a time',
      'set SOURCE_DATE_EPOCH, or the attribute source-date-epoch',
    )
  }
  const annotations = readAnnotations(output.type, attributes, defaults)
  if (!ociMediaTypes && annotations.some(({ target }) => target !== 'manifest')) {
    throw invalid(output.type, 'cannot export annotations with "oci-mediatypes=false"')
  }
  attributes.refuse(['oci-artifact', 'attestation-inline', 'prefer-nondist-layers'])
  return {
    names: readNames(attributes, defaults),
    compression: compression.kind,
    level: compression.level,
    force: attributes.flag('force-compression') ?? false,
    mediaTypes: ociMediaTypes ? 'oci' : 'docker',
    annotations,
    sourceDateEpoch,
    rewriteTimestamp,
  }
}

/** A layer with a table of contents, for readers that fetch parts of it. */
export function isIndexed(compression: Compression | undefined): boolean {
  return compression === 'estargz' || compression === 'zstd:chunked'
}

function readCompression(
  type: string,
  attributes: Attributes,
): { readonly kind: Compression | undefined; readonly level: number | undefined } {
  const text = attributes.text('compression')
  const found = compressions.find(({ name }) => name === text)
  if (text !== undefined && found === undefined) {
    const names = compressions.map(({ name }) => name)
    const hint = `use ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
    throw invalid(type, `unsupported compression type ${JSON.stringify(text)}`, hint)
  }
  const level = attributes.integer('compression-level', 0, (found ?? DEFAULT).maxLevel)
  return { kind: found?.kind, level }
}

/** @internal Shared with the outputs of plain files. */
export function readEpoch(attributes: Attributes, defaults: ExportDefaults): number | undefined {
  return attributes.integer('source-date-epoch', -62_135_596_800, LAST_EPOCH) ?? defaults.sourceDateEpoch
}

function readNames(attributes: Attributes, defaults: ExportDefaults): readonly string[] {
  const own = attributes.text('name')
  const names =
    own === undefined || own === '' ? defaults.names : own.split(',').map((name) => canonicalName(name.trim()))
  return [...new Set(names)]
}

function invalid(type: string, what: string, hint?: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `output type=${type}: ${what}`, { hint })
}
