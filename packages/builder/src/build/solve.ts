import type { Edge } from '../graph/types.ts'
import type { LoweredImage } from '../image/lowered.ts'
import type { LayerFactory, LayerFiles, LayerHandle, LayerReader, LayerRecords } from '../layers/types.ts'
import { isCacheReference } from '../oci/reference.ts'
import { layersOf } from '../ops/context-layer.ts'
import { ignoredCacheMounts } from '../ops/exec/ignored-caches.ts'
import { reachableVertices } from '../solver/demand.ts'
import type { Solver } from '../solver/solver.ts'
import type { Result } from '../solver/types.ts'
import type { Store } from '../store/types.ts'
import type { View } from '../view/types.ts'
import { squashLayers } from './squash.ts'

/** What a chain for outputs takes of layers. */
type ChainForms = Pick<LayerFactory, 'fromSelection'> &
  Pick<LayerReader, 'view'> &
  Pick<LayerFiles, 'tar' | 'imageBlob'> &
  Pick<LayerRecords, 'isPersistent' | 'record'>

/** What is to be in the store of each layer of a result: its `tar`, which outputs read; `any` form; or `none`. */
export type KeptLayers = 'tar' | 'any' | 'none'

export interface SolveParts {
  readonly solver: Solver
  readonly forms: ChainForms
  readonly store: Store
  /** The caches of steps that run anew on purpose stay as they are. */
  readonly keepsCacheMounts: boolean
  /** Told which caches begin empty on purpose: none is brought from elsewhere for them. */
  readonly ignoresCarried?: ((ids: readonly string[]) => void) | undefined
  readonly keeps: KeptLayers
  /** An output reads the bytes of layers, or keeps them: what a cache from elsewhere has of them is fetched. */
  readonly needsCached: boolean
}

/** The layers of each image, bottom first, in a form that outputs can read. */
export async function solveImages(
  images: readonly LoweredImage[],
  { solver, forms, store, keepsCacheMounts, ignoresCarried, keeps, needsCached }: SolveParts,
): Promise<readonly (readonly LayerHandle[])[]> {
  const edges = images.flatMap(({ edge }) => (edge === undefined ? [] : [edge]))
  // Once a build, before anything runs: steps that share a cache see what another of them left, as with BuildKit.
  if (!keepsCacheMounts) {
    const ids = new Set(edges.flatMap((edge) => ignoredCacheMounts(edge)))
    if (edges.length > 0) await store.emptyCacheMounts([...ids])
    ignoresCarried?.([...ids])
  }
  return Promise.all(
    images.map(async (image) => {
      const { edge } = image
      if (edge === undefined) return []
      const outcome = await solver.solve(edge, { tree: false, tar: keeps !== 'none' && image.squash === undefined })
      return solver.use(outcome, async (results) => chainOf(forms, image, results[edge.output], { keeps, needsCached }))
    }),
  )
}

/** The layers of the target, each in a form that outputs can read: what is gone is noticed before one of them begins. */
async function chainOf(
  forms: ChainForms,
  image: LoweredImage,
  result: Result | undefined,
  { keeps, needsCached }: Pick<SolveParts, 'keeps' | 'needsCached'>,
): Promise<readonly LayerHandle[]> {
  const found = result === undefined ? [] : layersOf(forms, result)
  if (needsCached) await Promise.all(found.map((layer) => fetchCached(forms, image, layer)))
  const layers = await squashLayers(forms, image, found)
  for (const layer of layers) {
    if (keeps === 'none' || layer.isForeign) continue
    if (keeps === 'tar' || !forms.isPersistent(layer)) await forms.tar(layer)
  }
  return layers
}

/**
 * A cache may have lost what it promised: that is found out as long as the step can be run instead. What a registry has of
 * the base stays there: the image names it there, whoever else has it.
 */
async function fetchCached(forms: ChainForms, { base }: LoweredImage, layer: LayerHandle): Promise<void> {
  const { remote, diffId, blobs = [], hasTar, trees } = forms.record(layer) ?? {}
  const isCached = remote?.references.some(isCacheReference) ?? false
  const isOfBase = base?.reference !== undefined && base.layers.some((one) => one.diffId === diffId)
  if (!isCached || isOfBase || diffId === undefined || blobs.length > 0 || hasTar === true || trees !== undefined)
    return
  await forms.imageBlob(layer, { descriptor: remote!.descriptor, diffId }, undefined)
}

/** Begins to read the build contexts, which no base can change. What fails fails again where it is needed. */
export function readLocals(solver: Solver, edge: Edge | undefined): void {
  for (const vertex of edge === undefined ? [] : reachableVertices(edge)) {
    if (vertex.op.kind !== 'source' || !vertex.op.identifier.startsWith('local://')) continue
    solver
      .solve({ vertex, output: 0 }, { tree: false, tar: false })
      .then((outcome) => outcome.load())
      .catch(() => undefined)
  }
}

/** When the content of a source was made: the newest time of its files. */
export async function sourceTime(
  solver: Solver,
  forms: Pick<LayerReader, 'view'>,
  edge: Edge,
): Promise<number | undefined> {
  const view = await solveView(solver, forms, edge)
  let newest = 0
  for (const entry of view.walk('')) if (entry.type === 'file') newest = Math.max(newest, entry.mtimeSec)
  return newest === 0 ? undefined : newest
}

/** The file system of a vertex that is needed before the rest is known: a context that comes from elsewhere. */
export async function solveView(solver: Solver, forms: Pick<LayerReader, 'view'>, edge: Edge): Promise<View> {
  const outcome = await solver.solve(edge, { tree: false, tar: false })
  return solver.use(outcome, async (results) => {
    const result = results[edge.output]
    if (result === undefined) throw new Error(`vertex ${edge.vertex.metadata.name} has no output ${edge.output}`)
    return result.kind === 'local' ? result.view : forms.view(result.layers)
  })
}
