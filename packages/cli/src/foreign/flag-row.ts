/** A flag that other builders have and `tsbuild build` has not. One row a flag, plain data. */
export interface ForeignFlag {
  readonly name: string
  readonly char?: string
  /** Whose it is; undefined: of the program that the table is about. */
  readonly tool?: string
  /** Needs no value: alone it is `true`. */
  readonly isBoolean?: true
  /** Values whose wish is how `tsbuild` works anyway; `any` for all of them. */
  readonly done?: readonly string[] | 'any'
  /** Words of ours that mean the same; `{}` is the value. */
  readonly as?: readonly string[]
  /** What is taken off the value before it is `{}`. */
  readonly strip?: RegExp
  /** The values for which `as` holds; all of them where this is missing. */
  readonly when?: RegExp
  /** What to use instead, where neither `done` nor `as` holds. */
  readonly use?: string
}

// What several tables say.
export const isTrue = ['true'] as const
export const isFalse = ['false'] as const
export const leaveOut = 'leave it out'
export const insecure = 'name the registry: --insecure-registry HOST[:PORT]'
export const epoch = '--source-date-epoch SECONDS with -o type=image,rewrite-timestamp=true'
export const mirror = '--build-context NAME=docker-image://MIRROR/NAME takes a base from elsewhere'
export const storage = 'leave it out; --store DIR says where the store is'
export const log = '--progress=plain or --progress=rawjson, on standard error; --quiet for nothing'
export const squash =
  'end the Dockerfile with a stage FROM scratch that has COPY --from=STAGE / /, or join RUN instructions'
