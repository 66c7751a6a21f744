import { withAbsoluteMounts } from '../ops/exec/mounts.ts'
import { stepCaches } from '../ops/exec/cache-locks.ts'
import type { Edge, Vertex } from '../graph/types.ts'
import type { ExecMount } from '../graph/op-specs.ts'
import { reachableVertices } from '../solver/demand.ts'
import type { Result } from '../solver/types.ts'
import type { WantedMount } from './cache-mounts-export.ts'
import type { Composition } from './composition.ts'

/** The cache mounts of the steps of a build that may travel, whether the steps ran or were found. */
export async function wantedMounts(composition: Composition, built: readonly Edge[]): Promise<readonly WantedMount[]> {
  const { session, caches } = composition
  const vertices = new Set(built.flatMap((edge) => reachableVertices(edge)))
  const ids = new Map<string, string>()
  const kept = new Set<string>()
  for (const vertex of vertices) {
    for (const { id, carriedId, sharing } of await cachesOf(composition, vertex)) {
      if (carriedId === undefined || sharing === 'private') kept.add(id)
      else ids.set(id, carriedId)
    }
  }
  const rows = new Map(session.store.cacheMounts().map((row) => [row.id, row]))
  const wanted: WantedMount[] = []
  for (const [id, carriedId] of ids) {
    if (kept.has(id)) continue
    const row = rows.get(id)
    const carried = row === undefined ? (await caches?.mounts?.list())?.get(carriedId) : undefined
    if (row !== undefined || carried !== undefined) wanted.push({ carriedId, row, carried })
  }
  return wanted
}

async function cachesOf(composition: Composition, vertex: Vertex): ReturnType<typeof stepCaches> {
  const { session, forms, jobs } = composition
  if (vertex.op.kind !== 'exec') return []
  const spec = withAbsoluteMounts(vertex.op)
  const mounts = spec.mounts.filter(({ type }) => type === 'cache')
  if (mounts.length === 0) return []
  const inputs: (Result | undefined)[] = []
  const known: ExecMount[] = []
  for (const mount of mounts) {
    const input = mount.input < 0 ? undefined : await inputOf(composition, vertex, mount.input)
    if (mount.input >= 0 && input === undefined) continue
    if (input !== undefined) inputs[mount.input] = input
    known.push(mount)
  }
  const parts = { store: session.store, forms, jobs, executor: session.executor }
  // The other mounts say whether it travels.
  const others = spec.mounts.filter(({ type }) => type !== 'cache')
  return stepCaches(parts, { ...spec, mounts: [...others, ...known] }, inputs)
}

/** What a mount begins with decides what it is called. Nothing is run for it but what makes an empty directory. */
async function inputOf({ solver }: Composition, vertex: Vertex, input: number): Promise<Result | undefined> {
  const edge = vertex.inputs[input]!
  const outcome = await solver.outcome(edge.vertex)
  const isCheap = edge.vertex.op.kind === 'file' && edge.vertex.inputs.length === 0
  if (outcome === undefined || !(outcome.isAtHand() || isCheap)) return undefined
  return (await outcome.load())[edge.output]
}
