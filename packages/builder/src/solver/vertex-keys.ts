import { withFiles } from '../cache/keys.ts'
import { BuilderError, isTsOciError, type BuilderErrorCode, type TsOciError } from '../base/errors.ts'
import type { LayerHandle } from '../layers/types.ts'
import type { Edge, Vertex } from '../graph/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { Result } from './types.ts'
import type { SharedKey } from '../cache/buildkit/types.ts'
import type { CacheKey, CacheMap, InputContent, InputKeys } from '../cache/types.ts'
import type { ContentSelector } from '../view/types.ts'

/** What is known of a vertex once it is solved. Its content is loaded when somebody asks. */
export interface VertexOutcome {
  /** The store's first, then those of a cache from elsewhere that has it; empty for a local source. */
  readonly keys: readonly string[]
  readonly cached: boolean
  /** What a cache that travels knows it by; undefined for a local source, which none knows. */
  readonly shared: SharedKey | undefined
  readonly load: () => Promise<readonly Result[]>
  /** `load` has nothing to run. */
  readonly isAtHand: () => boolean
  /** Lets go of results that hold this layer, or were made of what holds it: the next `load` makes them again. */
  readonly lose: (layerId: string, answers?: Map<VertexOutcome, boolean>) => boolean
}

/** Digest of the content that `selectors` choose from a chain of layers. */
export type DigestLayers = (layers: readonly LayerHandle[], selectors: readonly ContentSelector[]) => Promise<Digest>

/** The same by BuildKit's rules: those of today first, then older ones where they differ. */
export type SharedDigestLayers = (
  layers: readonly LayerHandle[],
  selectors: readonly ContentSelector[],
) => Promise<readonly Digest[]>

/** A local source is found by nothing but what others read of it. */
export function isNever(outcome: VertexOutcome): boolean {
  return outcome.keys.length === 0
}

const WHOLE: readonly ContentSelector[] = [
  { path: '/', followLast: true, allowWildcard: false, includePatterns: [], excludePatterns: [] },
]

/** A local source that a vertex stands on has no key either: there all of its content decides. */
export function withContentOfLocals(map: CacheMap, inputs: readonly VertexOutcome[]): CacheMap {
  if (map.identity !== undefined || !inputs.some(isNever)) return map
  return {
    ...map,
    selectors: inputs.map((input, index) => map.selectors[index] ?? (isNever(input) ? WHOLE : undefined)),
  }
}

/** What a vertex is looked for by at first: the keys of its inputs, which cost nothing. */
export function inputKeys(vertex: Vertex, inputs: readonly VertexOutcome[]): readonly InputKeys[] {
  return vertex.inputs.map(({ output }, index) => {
    const { keys } = inputs[index]!
    return { keys: output === 0 ? keys : keys.map((key) => `${key}#${output}`) }
  })
}

/** What it is looked for by then: also by what it reads of those inputs. @throws OCI_COPY_SOURCE_NOT_FOUND */
export function withContents(
  vertex: Vertex,
  map: CacheMap,
  inputs: readonly VertexOutcome[],
  digestLayers: DigestLayers,
): Promise<readonly InputKeys[]> {
  const contentOf = async (edge: Edge, index: number): Promise<InputContent | undefined> => {
    const selectors = map.selectors[index]
    if (selectors === undefined) return undefined
    const result = await resultOf(edge, inputs[index]!)
    try {
      const digest =
        result.kind === 'local' ? await result.digestPaths(selectors) : await digestLayers(result.layers, selectors)
      return { digest, selectors }
    } catch (error) {
      throw inKeyWords(error, edge.vertex, selectors)
    }
  }
  return Promise.all(
    inputKeys(vertex, inputs).map(async (known, index) => {
      const content = await contentOf(vertex.inputs[index]!, index)
      return content === undefined ? known : { ...known, content }
    }),
  )
}

/** What a later miss is explained with; asked only of a vertex that is run. */
export async function describeFiles(
  vertex: Vertex,
  map: CacheMap,
  inputs: readonly VertexOutcome[],
  key: CacheKey,
): Promise<CacheKey> {
  const files = await Promise.all(
    vertex.inputs.map(async (edge, index) => {
      const selectors = map.selectors[index]
      if (selectors === undefined || !isNever(inputs[index]!)) return undefined
      const result = await resultOf(edge, inputs[index]!)
      return result.kind === 'local' ? result.describePaths?.(selectors) : undefined
    }),
  )
  return withFiles(key, files)
}

/** The results that a vertex works on. */
export function loadInputs(vertex: Vertex, inputs: readonly VertexOutcome[]): Promise<readonly Result[]> {
  return Promise.all(vertex.inputs.map((edge, index) => resultOf(edge, inputs[index]!)))
}

export async function resultOf(edge: Edge, outcome: VertexOutcome): Promise<Result> {
  const result = (await outcome.load())[edge.output]
  if (result === undefined) throw new Error(`vertex ${edge.vertex.metadata.name} has no output ${edge.output}`)
  return result
}

/** BuildKit's words for sources that cannot be read: it fails while the key is computed. */
function inKeyWords(error: unknown, input: Vertex, selectors: readonly ContentSelector[]): unknown {
  if (!isTsOciError(error)) return error
  const what = keyWordsOf(error, selectors)
  if (what === undefined) return error
  const { hint, cause, details, code } = error
  const message = `failed to compute cache key: failed to calculate checksum of ref ${input.digest.slice(7, 32)}: ${what}`
  return new BuilderError(code as BuilderErrorCode, message, { hint, cause, details })
}

function keyWordsOf({ code, message, details }: TsOciError, selectors: readonly ContentSelector[]): string | undefined {
  if (code === 'OCI_COPY_SOURCE_NOT_FOUND') return message.replace(/^failed to calculate checksum: /, '')
  if (details['errno'] === 'ELOOP') return 'too many links'
  if (code !== 'OCI_IGNORE_PATTERN') return undefined
  const patterns = selectors.find(({ excludePatterns }) => excludePatterns.length > 0)?.excludePatterns ?? []
  return `invalid excludepatterns: [${patterns.join(' ')}]: syntax error in pattern`
}
