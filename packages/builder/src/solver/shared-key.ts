import type { SharedInput, SharedKey } from '../cache/buildkit/types.ts'
import type { Vertex } from '../graph/types.ts'
import type { Digest } from '../oci/digest.ts'
import { hostPlatform } from '../oci/platform.ts'
import type { ContentSelector } from '../view/types.ts'
import type { OpDriver } from './types.ts'
import { isNever, resultOf, type SharedDigestLayers, type VertexOutcome } from './vertex-keys.ts'

export interface SharedKeyParts {
  readonly vertex: Vertex
  readonly driver: OpDriver
  readonly inputs: readonly VertexOutcome[]
  readonly digestLayers: SharedDigestLayers
}

/** What a cache that travels knows a vertex by. Nothing of it is loaded or computed before somebody asks. */
export function sharedKeyOf(parts: SharedKeyParts): SharedKey {
  const { vertex, driver, inputs } = parts
  const rules = once(async () => {
    const { opRules, sourceRules } = await import('../cache/buildkit/op-key.ts')
    const names = await driver.sharedKeys?.(vertex)
    return names === undefined ? opRules(vertex, hostPlatform()) : sourceRules(names)
  })
  return { rules, inputs: inputs.map((_, index) => sharedInput(parts, index)) }
}

function sharedInput({ vertex, inputs, digestLayers }: SharedKeyParts, index: number): SharedInput {
  const edge = vertex.inputs[index]!
  const outcome = inputs[index]!
  const digests = new Map<readonly ContentSelector[], Promise<readonly Digest[]>>()
  const read = async (selectors: readonly ContentSelector[]): Promise<readonly Digest[]> => {
    const result = await resultOf(edge, outcome)
    return result.kind === 'local' ? result.sharedDigests(selectors) : digestLayers(result.layers, selectors)
  }
  return {
    key: outcome.shared,
    output: edge.output,
    contents: async (selectors) => {
      // To read what would have to be made first is no lookup any more.
      if (!isNever(outcome) && !outcome.isAtHand()) return undefined
      let digest = digests.get(selectors)
      if (digest === undefined) {
        digest = read(selectors)
        digests.set(selectors, digest)
        digest.catch(() => digests.delete(selectors))
      }
      // What cannot be read is told where it is needed.
      return digest.catch(() => [])
    },
  }
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined
  return () => (promise ??= work())
}
