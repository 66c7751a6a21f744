import type { BuildResult, BuildSummary, SummaryStep, VertexReport } from '../build/public-types.ts'
import type { Digest } from '../oci/digest.ts'

/** As many steps are listed as slowest. */
const MAX_SLOWEST = 5

/**
 * What a build spent its time on, told from its result alone.
 * @example
 * const { slowest, criticalPath } = summarize(await build({ context: '.' }))
 */
export function summarize(result: Pick<BuildResult, 'vertices' | 'internalSteps' | 'traffic'>): BuildSummary {
  const { vertices, internalSteps, traffic } = result
  const ran = vertices.filter(({ status }) => status === 'ran')
  const timed = [...ran, ...internalSteps].filter(({ startedMs }) => startedMs > 0)
  const startMs = timed.reduce((first, { startedMs }) => Math.min(first, startedMs), Infinity)
  const endMs = timed.reduce((last, { startedMs, durationMs }) => Math.max(last, startedMs + durationMs), startMs)
  return {
    durationMs: timed.length === 0 ? 0 : endMs - startMs,
    ranCount: ran.length,
    cached: vertices.filter(({ status }) => status === 'cached').map(({ name }) => name),
    slowest: timed
      .map(stepOf)
      .sort((a, b) => b.durationMs - a.durationMs)
      .slice(0, MAX_SLOWEST),
    criticalPath: criticalPathOf(vertices),
    ...traffic,
  }
}

function stepOf({ name, durationMs }: SummaryStep): SummaryStep {
  return { name, durationMs }
}

/** The chain of vertices, each of which waited for the one before, that took longest; what was cached took nothing. */
function criticalPathOf(vertices: readonly VertexReport[]): readonly SummaryStep[] {
  interface Path {
    readonly totalMs: number
    readonly vertex: VertexReport
    readonly before: Path | undefined
  }
  const paths = new Map<Digest, Path>()
  let longest: Path | undefined
  // Inputs stand before their users.
  for (const vertex of vertices) {
    let before: Path | undefined
    for (const input of vertex.inputs) {
      const path = paths.get(input)
      if (path !== undefined && path.totalMs > (before?.totalMs ?? 0)) before = path
    }
    const ownMs = vertex.status === 'ran' ? vertex.durationMs : 0
    const path: Path = { totalMs: (before?.totalMs ?? 0) + ownMs, vertex, before }
    paths.set(vertex.digest, path)
    if (path.totalMs > (longest?.totalMs ?? 0)) longest = path
  }
  const steps: SummaryStep[] = []
  for (let path = longest; path !== undefined; path = path.before)
    if (path.vertex.status === 'ran') steps.push(stepOf(path.vertex))
  return steps.reverse()
}
