import type { Digest } from '../../oci/digest.ts'
import type { ContentSelector } from '../../view/types.ts'

/**
 * What BuildKit knows a vertex by, and with it every cache in its format: a graph of keys, as the vertices are a graph.
 * Nothing of it is computed before a cache that travels asks.
 */
export interface SharedKey {
  rules(): Promise<SharedRules>
  readonly inputs: readonly SharedInput[]
}

/** One input of a vertex. */
export interface SharedInput {
  /** Undefined: what is found by no definition (a local source). */
  readonly key: SharedKey | undefined
  /** Which output of that vertex. */
  readonly output: number
  /** BuildKit's digests of what is read of it, today's first; undefined as long as it would have to be made to be read. */
  contents(selectors: readonly ContentSelector[]): Promise<readonly Digest[] | undefined>
}

/** How one vertex is keyed (BuildKit's `CacheMap`). */
export interface SharedRules {
  /** Of the op; a source may be known by several. */
  readonly digests: readonly Digest[]
  readonly inputs: readonly SharedInputRule[]
}

export interface SharedInputRule {
  /** Digest of the names of what is read; '' where there are none. */
  readonly selector: string
  /** What is read, where that decides as well as the input's own key; empty: all of it. */
  readonly contents: readonly ContentSelector[] | undefined
}
