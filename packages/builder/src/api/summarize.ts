import type { BuildResult, BuildSummary, InternalStepReport, SummaryStep, VertexReport } from '../build/public-types.ts'
import type { Digest } from '../oci/digest.ts'

/** As many steps are listed as slowest. */
const MAX_SLOWEST = 5

/** What took less is 0.00 s in a list: there is nothing to gain. */
const LEAST_MS = 5

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
  const endMs = timed.reduce((last, step) => Math.max(last, endOf(step)), startMs)
  const origins = vertices.flatMap((vertex) =>
    vertex.status === 'cached' && isInstruction(vertex) && vertex.cacheOrigin !== undefined
      ? [[vertex.name, vertex.cacheOrigin] as const]
      : [],
  )
  return {
    durationMs: timed.length === 0 ? 0 : endMs - startMs,
    ranCount: ran.filter(isInstruction).length,
    cached: vertices.filter((vertex) => vertex.status === 'cached' && isInstruction(vertex)).map(({ name }) => name),
    ...(origins.length === 0 ? {} : { cachedFrom: Object.fromEntries(origins) }),
    slowest: listed(timed.toSorted((a, b) => b.durationMs - a.durationMs)).slice(0, MAX_SLOWEST),
    criticalPath: listed(criticalPathOf(vertices, internalSteps)),
    ...traffic,
  }
}

type TimedStep = InternalStepReport

const endOf = ({ startedMs, durationMs }: TimedStep): number => startedMs + durationMs

/** The build context is a vertex as well, and one that no cache ever has. */
const isInstruction = ({ name }: VertexReport): boolean => !name.startsWith('[internal] ')

function listed(steps: readonly TimedStep[]): readonly SummaryStep[] {
  return steps.filter(({ durationMs }) => durationMs >= LEAST_MS).map(({ name, durationMs }) => ({ name, durationMs }))
}

/** The longest chain of vertices, between what had to end before it began and what began when it had ended. */
function criticalPathOf(vertices: readonly VertexReport[], internalSteps: readonly TimedStep[]): readonly TimedStep[] {
  const chain = longestChain(vertices)
  const [first, last] = [chain[0], chain.at(-1)]
  if (first === undefined || last === undefined) return longestRow(internalSteps)
  return [
    ...longestRow(internalSteps.filter((step) => endOf(step) <= first.startedMs)),
    ...chain,
    ...longestRow(internalSteps.filter(({ startedMs }) => startedMs >= endOf(last))),
  ]
}

interface Path<Step> {
  readonly totalMs: number
  readonly step: Step
  readonly before: Path<Step> | undefined
}

/** The chain of vertices, each of which waited for the one before, that took longest; what was cached took nothing. */
function longestChain(vertices: readonly VertexReport[]): readonly VertexReport[] {
  const paths = new Map<Digest, Path<VertexReport>>()
  let longest: Path<VertexReport> | undefined
  // Inputs stand before their users.
  for (const vertex of vertices) {
    let before: Path<VertexReport> | undefined
    for (const input of vertex.inputs) {
      const path = paths.get(input)
      if (path !== undefined && path.totalMs > (before?.totalMs ?? 0)) before = path
    }
    const ownMs = vertex.status === 'ran' ? vertex.durationMs : 0
    const path = { totalMs: (before?.totalMs ?? 0) + ownMs, step: vertex, before }
    paths.set(vertex.digest, path)
    if (path.totalMs > (longest?.totalMs ?? 0)) longest = path
  }
  return stepsOf(longest).filter(({ status }) => status === 'ran')
}

/** Of steps that have no inputs, only times: those that took longest one behind the other. */
function longestRow(steps: readonly TimedStep[]): readonly TimedStep[] {
  const paths: Path<TimedStep>[] = []
  for (const step of steps.toSorted((a, b) => endOf(a) - endOf(b))) {
    const before = paths.findLast((path) => endOf(path.step) <= step.startedMs)
    const totalMs = (before?.totalMs ?? 0) + step.durationMs
    // Each path is the longest of those that end by the end of its step.
    if (totalMs > (paths.at(-1)?.totalMs ?? 0)) paths.push({ totalMs, step, before })
  }
  return stepsOf(paths.at(-1))
}

function stepsOf<Step>(last: Path<Step> | undefined): readonly Step[] {
  const steps: Step[] = []
  for (let path = last; path !== undefined; path = path.before) steps.push(path.step)
  return steps.reverse()
}
