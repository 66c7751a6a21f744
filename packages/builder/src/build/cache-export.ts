/** Writes the cache of a build: what its vertices are known by, and the layers of their results. */
import type { ProgressSink } from '../base/progress.ts'
import { contentKey, outputKey } from '../cache/buildkit/op-key.ts'
import type { MountBounds } from '../cache/carried-mounts.ts'
import { createChains, type CacheChains, type ChainLink, type ChainResult } from '../cache/buildkit/chains.ts'
import { encodeInlineRecords } from '../cache/buildkit/inline-records.ts'
import type {
  CacheExportContext,
  CacheLayerToWrite,
  CacheToWrite,
  PreparedCacheExport,
} from '../cache/backends/types.ts'
import { createLayerProvider } from '../exporters/layer-provider.ts'
import type { Edge, Vertex } from '../graph/types.ts'
import type { LayerHandle } from '../layers/types.ts'
import type { Digest } from '../oci/digest.ts'
import { formatTime } from '../oci/go-json.ts'
import type { VertexOutcome } from '../solver/vertex-keys.ts'
import type { Composition } from './composition.ts'
import { messageOf, warn } from './cache-messages.ts'
import { internalStep } from './internal-step.ts'
import type { Session } from './session-types.ts'
import { pushWith } from './transfers.ts'

/** What was built: the end of each image, with its layers, bottom first. */
export interface BuiltEdge {
  readonly edge: Edge
  readonly layers: readonly LayerHandle[]
}

/** How a layer is called in a cache: for an inline one by its place in the image, else by its blob. */
type NameLayers = (layers: readonly LayerHandle[]) => Promise<ChainResult['layers'] | undefined>

/** Writes each cache; a failure of one that may fail is a warning. */
export async function exportCaches(
  composition: Composition,
  exports: readonly PreparedCacheExport[],
  built: readonly BuiltEdge[],
  sink: ProgressSink,
): Promise<void> {
  await using mounts = await mountsOf(composition, exports, built, sink)
  for (const one of exports) {
    if (one.write === undefined || one.isInline === true) continue
    try {
      await internalStep(sink, one.name, (report) => exportOne(composition, one, { built, mounts }, report))
    } catch (error) {
      if (!one.ignoresErrors || composition.session.signal.aborted) throw error
      warn(sink, `${one.name}: ${messageOf(error)}`)
    }
  }
}

interface MountsToWrite extends AsyncDisposable {
  addTo(chains: CacheChains, blobs: Map<Digest, CacheLayerToWrite>, bounds: MountBounds | undefined): Promise<void>
}

/** The cache mounts of the steps, where a cache takes them. */
async function mountsOf(
  composition: Composition,
  exports: readonly PreparedCacheExport[],
  built: readonly BuiltEdge[],
  sink: ProgressSink,
): Promise<MountsToWrite> {
  if (exports.every(({ mounts }) => mounts === undefined))
    return { addTo: async () => undefined, [Symbol.asyncDispose]: async () => undefined }
  const [{ addMounts, createMountPacker }, { wantedMounts }] = await Promise.all([
    import('./cache-mounts-export.ts'),
    import('./cache-mounts-wanted.ts'),
  ])
  const packer = createMountPacker(composition.session, composition.jobs)
  const edges = built.map(({ edge }) => edge)
  const told = new Set<string>()
  const tell = (message: string): void => {
    if (!told.has(message)) warn(sink, message)
    told.add(message)
  }
  return {
    addTo: async (chains, blobs, bounds) => {
      if (bounds === undefined) return
      addMounts(chains, blobs, await packer.pack(await wantedMounts(composition, edges), bounds, tell))
    },
    [Symbol.asyncDispose]: () => packer[Symbol.asyncDispose](),
  }
}

type Report = Parameters<Parameters<typeof internalStep>[2]>[0]

async function exportOne(
  composition: Composition,
  { mode, compression, mounts: bounds, write }: PreparedCacheExport,
  { built, mounts }: { readonly built: readonly BuiltEdge[]; readonly mounts: MountsToWrite },
  report: Report,
): Promise<void> {
  const { session } = composition
  const blobs = new Map<Digest, CacheLayerToWrite>()
  report('prepare', 'preparing build cache for export')
  const name = nameByBlob(composition, compression, blobs)
  const wanted = mode === 'max' ? undefined : new Set(built.flatMap(({ layers }) => layers.map(({ id }) => id)))
  const chains = await collect(composition, built, name, wanted)
  await mounts.addTo(chains, blobs, bounds)
  const cache: CacheToWrite = { config: chains.config(), layers: blobs }
  report('prepare', 'preparing build cache for export', { isDone: true })
  // BuildKit: nothing to write is nothing to complain of.
  if (cache.config.records.length === 0)
    return report('empty', 'skipping cache export for empty result', { isDone: true })
  await write!(cache, cacheWriteContext(session, report))
}

/** What a backend writes with. */
export function cacheWriteContext(session: Session, report: Report): CacheExportContext {
  return {
    signal: session.signal,
    report: (id, progress) => report(id, id, progress),
    push: async ({ reference, isInsecure, manifest, config, layers }) => {
      const images = [{ manifest, config, layers }]
      const push = pushWith(session, report)
      await push({ reference, byDigest: false, isInsecure, root: manifest, images, opensLayers: true })
    },
  }
}

/** The records that go into the config of an image itself; its layers are known by their place. */
export async function inlineCacheOf(
  composition: Composition,
  built: BuiltEdge,
  sink: ProgressSink,
): Promise<string | undefined> {
  const places = new Map(built.layers.map(({ id }, index) => [id, index]))
  const byPlace: NameLayers = async (layers) => {
    const found = layers.map(({ id }) => places.get(id))
    return found.every((place) => place !== undefined)
      ? found.map((place) => ({ blob: String(place) as Digest }))
      : undefined
  }
  const config = (await collect(composition, [built], byPlace, new Set(places.keys()))).config()
  const { text, leftOut } = encodeInlineRecords(config)
  if (leftOut > 0) warn(sink, `inline cache: the oldest ${leftOut} of ${config.records.length} keys are left out`)
  return text
}

function nameByBlob(
  { session, forms }: Composition,
  { compression, level, force }: PreparedCacheExport['compression'],
  blobs: Map<Digest, CacheLayerToWrite>,
): NameLayers {
  const form = {
    compression: compression === 'uncompressed' ? 'none' : compression,
    force,
    descriptorOnly: true,
    ...(level === undefined ? {} : { level }),
  } as const
  return async (layers) => {
    const provider = createLayerProvider({ store: session.store, forms, layers, base: undefined })
    const named = layers.map(async (layer, index) => {
      const { diffId, descriptor, repositories } = await provider.provide(index, form, session.signal)
      const { mediaType, digest, size } = descriptor
      if (!blobs.has(digest))
        blobs.set(digest, {
          descriptor: {
            mediaType,
            digest,
            size,
            annotations: {
              'buildkit/createdat': formatTime(layer.createdMs),
              'containerd.io/uncompressed': diffId,
            },
          },
          repositories,
          open: async function* (signal) {
            // What came with a cache or a base may not be here yet.
            await provider.provide(index, { ...form, descriptorOnly: false }, signal)
            yield* provider.open(digest, signal)
          },
        })
      return { blob: digest }
    })
    return Promise.all(named)
  }
}

/**
 * The keys of everything that the images are made of, from the sources on.
 * @param wanted only results whose every layer is one of these; undefined: all that are at hand
 */
async function collect(
  { solver }: Composition,
  built: readonly BuiltEdge[],
  name: NameLayers,
  wanted: ReadonlySet<string> | undefined,
): Promise<CacheChains> {
  const chains = createChains()
  const known = new Map<string, Promise<readonly number[]>>()
  const add = (vertex: Vertex, output: number): Promise<readonly number[]> => {
    const id = `${vertex.digest} ${output}`
    let records = known.get(id)
    if (records === undefined) known.set(id, (records = addOnce(vertex, output)))
    return records
  }
  async function addOnce(vertex: Vertex, output: number): Promise<readonly number[]> {
    const outcome = await solver.outcome(vertex)
    const shared = outcome?.shared
    if (outcome === undefined || shared === undefined) return []
    const rules = await shared.rules()
    const inputs: ChainLink[][] = []
    for (const [index, edge] of vertex.inputs.entries()) {
      const { selector, contents } = rules.inputs[index]!
      const links: ChainLink[] = []
      for (const record of await add(edge.vertex, edge.output)) links.push({ record, selector })
      const digests = contents === undefined ? [] : await shared.inputs[index]!.contents(contents)
      for (const digest of digests ?? []) links.push({ record: chains.add(contentKey(digest), []), selector: '' })
      // What is found by nothing makes what stands on it unfindable.
      if (links.length === 0) return []
      inputs.push(links)
    }
    const result = inputs.length === 0 ? undefined : await resultOf(outcome, output)
    return rules.digests.map((digest) => chains.add(outputKey(digest, output), inputs, result))
  }
  async function resultOf(outcome: VertexOutcome, output: number): Promise<ChainResult | undefined> {
    if (!outcome.isAtHand()) return undefined
    const result = (await outcome.load())[output]
    if (result?.kind !== 'layers') return undefined
    const { layers } = result
    if (layers.length === 0 || (wanted !== undefined && !layers.every(({ id }) => wanted.has(id)))) return undefined
    const named = await name(layers)
    return named && { layers: named, createdAt: formatTime(layers.at(-1)!.createdMs) }
  }
  for (const { edge } of built) await add(edge.vertex, edge.output)
  return chains
}
