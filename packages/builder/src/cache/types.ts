import type { ContentSelector } from '../view/types.ts'

/** How one vertex is keyed. */
export interface CacheMap {
  /** What is hashed for the op itself; canonical JSON. Kept as the key's preimage. */
  readonly payload: unknown
  /** For each input: which paths of it decide, for a second try by content; undefined: only its key counts. */
  readonly selectors: readonly (readonly ContentSelector[] | undefined)[]
  /** The whole key by itself (an image's chainID, a git commit): inputs and payload do not count. */
  readonly identity?: string
  /** With `identity`: the work costs nothing that a record would save (an image's layers are rows already); no record is kept. */
  readonly isUnrecorded?: boolean
  /** With `isUnrecorded`: all of it is in the store already. */
  readonly isPresent?: boolean
  /** Never found by its definition: only by the content that others read of it (local sources). */
  readonly neverByDefinition?: boolean
}
