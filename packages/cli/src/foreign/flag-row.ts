/** What a flag means that no words of ours say: the last step of a reading acts on it (`read.ts`). */
export type Note =
  | 'push-tags'
  | 'no-push'
  | 'insecure'
  | 'insecure-pull'
  | 'attribute'
  | 'os'
  | 'arch'
  | 'variant'
  | 'kaniko-context'
  | 'sub-path'
  | 'git'
  | 'build-arg-file'
  | 'manifest'
  | 'volume'
  | 'one-layer'
  | 'cache-repo'
  | 'no-push-cache'
  | 'registry-map'

/** What was noted while a command line was read, with the values in their order. */
export type Notes = Map<Note, readonly string[]>

/** A flag that other programs have for a command of ours, which has it not. One row a flag, plain data. */
export interface ForeignFlag {
  readonly name: string
  readonly char?: string
  /** The values behind `-CHAR` that mean this flag, where another one has the letter, too. */
  readonly charFor?: RegExp
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
  /** Told to the last step, with or without words, where `done` does not hold. */
  readonly note?: Note
  /** An attribute of each output that writes an image, `compression={}`: a note of its own. */
  readonly attribute?: string
  /** What `note` comes to, for the reference. */
  readonly means?: string
  /** What to use instead, where neither `done` nor `as` holds. */
  readonly use?: string
}

/** A value of a flag of ours that is a flag, or a value, of another program. */
export interface ForeignValue {
  /** As typed: `-c`, `--isolation`. */
  readonly typed: readonly string[]
  readonly when: RegExp
  /** `{}` is the value. */
  readonly as: readonly string[]
  readonly tool: string
  /** For the reference: `--isolation oci`. Missing where the row of a flag says it. */
  readonly shown?: string
}

// What several tables say.
export const password = 'tsbuild login, or --authfile FILE: a password on a command line is read by others'
export const isTrue = ['true'] as const
export const isFalse = ['false'] as const
export const leaveOut = 'leave it out'
export const storage = 'leave it out; --store DIR says where the store is'
export const log = '--progress=plain or --progress=rawjson, on standard error; --quiet for nothing'
