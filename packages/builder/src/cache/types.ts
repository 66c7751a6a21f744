import type { LayerHandle } from '../layers/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { ContentSelector } from '../view/types.ts'
import type { SharedKey } from './buildkit/types.ts'

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

/** How one input of a vertex is known to whoever looks for the vertex. */
export interface InputKeys {
  /**
   * Keys of its result (BuildKit: fast keys). The first is the store's; a cache from elsewhere may know it by further
   * ones. Empty for what is found by no definition (a local source).
   */
  readonly keys: readonly string[]
  /** What the vertex reads of it (BuildKit: the slow key); absent until a lookup by keys alone has found nothing. */
  readonly content?: InputContent
}

export interface InputContent {
  readonly digest: Digest
  readonly selectors: readonly ContentSelector[]
}

/** A cache key and what was hashed into it, for explanations. */
export interface CacheKey {
  readonly key: string
  /** JSON. */
  readonly preimage: string
}

/** The keys under which the store keeps a vertex. */
export interface StoreKeys {
  /** Of its op and the keys of its inputs; undefined when an input has none. */
  readonly byDefinition: CacheKey | undefined
  /** Of its op and what it reads; undefined when it reads nothing, or that is not known yet. */
  readonly byContent: CacheKey | undefined
}

/**
 * What a vertex is looked for by. It matches a record of the same op that has, for EVERY input, one of that input's keys or
 * its content: what each input allows is intersected over the inputs (`docs/cache.md`).
 */
export interface CacheQuery {
  readonly map: CacheMap
  readonly inputs: readonly InputKeys[]
  /** What a cache that travels knows the vertex by. */
  readonly shared: SharedKey | undefined
  /** Under which the store keeps what it finds. */
  storeKeys(): StoreKeys
}

/** A record that matches. Nothing of its result is read or fetched for it. */
export interface CacheCandidate {
  /** By which what is built on it is looked for. */
  readonly key: string
  /** JSON of what was hashed into the key, for explanations. */
  readonly preimage: string
  readonly createdMs: number
  /** Of a cache from elsewhere: `key` is none of the store's. */
  readonly isForeign: boolean
  /** False for a record whose layers nobody needed to be written, or whose files lie in its inputs. */
  readonly hasContent: boolean
  /** Which cache it came from, where that is not the store. */
  readonly origin?: string
  /**
   * Its layers, bottom first, as handles that are read or fetched when somebody needs them; undefined when this process cannot.
   * `needsTree`: a step will be run on them, so what is fetched is unpacked on its way.
   */
  layers(progressVertex: string, needsTree?: boolean): readonly LayerHandle[] | undefined
}

/** What ran, to be found again. */
export interface CacheEntry {
  readonly key: string
  readonly preimage: string
  /** Further keys by which it is found. */
  readonly alternatives: readonly string[]
  readonly layers: readonly LayerHandle[]
  readonly hasContent: boolean
  /** `[2/3] RUN make`. */
  readonly name: string
  /** BuildKit's record type: `regular`, `source.local`… */
  readonly type: string
  /** What the other keys lead to is dropped: it was made anew on purpose. */
  readonly isReplacing: boolean
  readonly notes: readonly CacheNote[]
}

/** A text by a key, which outlives a build. */
export type CacheNote = readonly [key: string, text: string]

/** Where results are looked for and kept: the store is one, and each backend of a cache that travels is another. */
export interface CacheManager {
  /** Best first. Facts that were loaded once: nothing is fetched for a lookup. */
  find(query: CacheQuery): Promise<readonly CacheCandidate[]>
  /** What another build may have made of it meanwhile. */
  get(key: string): CacheCandidate | undefined
  save(entry: CacheEntry): void
  /** In words, which cache came nearest to what none has, and what it lacks; asked after `find`. The store has words of its own. */
  explainMiss?(query: CacheQuery): Promise<NearMiss | undefined>
}

/** How near a cache is to a vertex that it does not have. */
export interface NearMiss {
  /** Of the cache. */
  readonly origin: string
  /** It knows the op; then these inputs are others. None: each is known, but not together. */
  readonly otherInputs: readonly number[] | undefined
}
