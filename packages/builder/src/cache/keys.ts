import { digestHex, digestOf, type Digest } from '../oci/digest.ts'
import { canonicalJson } from '../graph/vertex.ts'
import type { SharedKey } from './buildkit/types.ts'
import type { CacheKey, CacheMap, CacheQuery, InputKeys, StoreKeys } from './types.ts'
import type { ContentSelector } from '../view/types.ts'

/** What one input adds to a key: the key of its own result, or the digest of what is read of it. */
export type KeyPart =
  | { readonly key: string }
  | { readonly content: Digest; readonly selectors: readonly ContentSelector[] }

/** Marks of the files behind each input, for an explanation: beside the key, not in it. */
export function withFiles(key: CacheKey, files: readonly (Readonly<Record<string, string>> | undefined)[]): CacheKey {
  if (files.every((marks) => marks === undefined)) return key
  return {
    key: key.key,
    preimage: JSON.stringify({ ...(JSON.parse(key.preimage) as object), files: files.map((marks) => marks ?? null) }),
  }
}

/** Version of the rules: a change of them must not find records of the old ones. */
const RULES = 1

/** The key of a vertex from its op and its inputs (BuildKit: a cache map's digest, linked with the inputs' keys). */
export function cacheKeyOf(map: CacheMap, parts: readonly KeyPart[]): CacheKey {
  if (map.identity !== undefined) return { key: map.identity, preimage: canonicalJson({ identity: map.identity }) }
  const preimage = canonicalJson({ rules: RULES, op: map.payload, inputs: parts })
  return { key: `k:${digestHex(digestOf(preimage))}`, preimage }
}

/** A query whose keys of the store are hashed once, when somebody asks: a vertex that runs is looked for three times. */
export function createCacheQuery(map: CacheMap, inputs: readonly InputKeys[], shared?: SharedKey): CacheQuery {
  let known: StoreKeys | undefined
  return { map, inputs, shared, storeKeys: () => (known ??= storeKeysOf(map, inputs)) }
}

/** One hash over all inputs stands for their intersection: the store knows each input by its first key alone. */
function storeKeysOf(map: CacheMap, inputs: readonly InputKeys[]): StoreKeys {
  if (map.identity !== undefined) return { byDefinition: cacheKeyOf(map, []), byContent: undefined }
  const keys = inputs.flatMap((input): KeyPart[] => (input.keys[0] === undefined ? [] : [{ key: input.keys[0] }]))
  const hasContent = inputs.some(({ content }) => content !== undefined)
  return {
    byDefinition: keys.length === inputs.length ? cacheKeyOf(map, keys) : undefined,
    byContent: hasContent ? cacheKeyOf(map, inputs.map(contentPart)) : undefined,
  }
}

function contentPart({ keys, content }: InputKeys): KeyPart {
  if (content !== undefined) return { content: content.digest, selectors: content.selectors }
  const [key] = keys
  if (key === undefined) throw new Error('an input has neither a key nor content')
  return { key }
}
