import type { Explainer } from '../cache/explain.ts'
import type { CacheManager } from '../cache/types.ts'
import { BuilderError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { Edge, Vertex } from '../graph/types.ts'
import type { Digest } from '../oci/digest.ts'
import { computeDemand, reachableVertices } from './demand.ts'
import type { Executions } from './executions.ts'
import { createFailures } from './failures.ts'
import { whileMissing } from './missing-layers.ts'
import { createReadiness } from './readiness.ts'
import { createRecordedVertices } from './recorded.ts'
import { createVertexReporter, type VertexReporter } from './reporter.ts'
import type { Scheduler } from './scheduler.ts'
import { createVertexSolver } from './solve-vertex.ts'
import type { Demand, OneExecution, OpDriver, Result, RunContext, SolverForms } from './types.ts'
import type { DigestLayers, SharedDigestLayers, VertexOutcome } from './vertex-keys.ts'

export interface SolverOptions {
  readonly drivers: readonly OpDriver[]
  readonly cache: CacheManager
  readonly oneExecution: OneExecution
  readonly forms: SolverForms
  readonly scheduler: Scheduler
  readonly onProgress: ProgressSink
  readonly signal: AbortSignal
  readonly digestLayers: DigestLayers
  readonly sharedDigestLayers: SharedDigestLayers
  readonly explainer?: Explainer
  /** Turns an error of the system into the one that a user reads (a full disk names the store). */
  readonly inWords?: (cause: unknown) => unknown
  /** Shared with other solvers that may be at the same vertices. */
  readonly executions?: Executions | undefined
}

export interface Solver {
  /** Solves everything that `target` needs; a failure cancels what is not needed any more and keeps what is finished. */
  solve(target: Edge, needs: Demand): Promise<VertexOutcome>
  /**
   * Hands the results of an outcome to `work`, and does so again with new ones when a layer of theirs turns out to be gone.
   */
  use<T>(outcome: VertexOutcome, work: (results: readonly Result[]) => Promise<T>): Promise<T>
  /** What is known of a vertex that was solved; undefined of one that was not, or failed. */
  outcome(vertex: Vertex): Promise<VertexOutcome | undefined>
  /** Says of every vertex that nobody had to look into that it was not needed: cached. */
  finish(): void
  readonly reporter: VertexReporter
}

/** A scheduler of vertices over a cache. It knows no op: drivers say how each is keyed and how it runs. */
export function createSolver(options: SolverOptions): Solver {
  const reporter = createVertexReporter(options.onProgress)
  const failures = createFailures(options.signal, reporter, options.inWords ?? ((cause) => cause))
  const outcomes = new Map<Digest, Promise<VertexOutcome>>()
  const demands = new Map<Digest, Demand>()
  const driverOf = (vertex: Vertex): OpDriver => findDriver(options.drivers, vertex)

  const runContext = (vertex: Vertex): RunContext => ({
    signal: failures.signal,
    demand: demands.get(vertex.digest) ?? { tree: false, tar: false },
    whileWaiting: (wait) => wait(),
    log: (stream, data) => reporter.log(vertex, stream, data),
    status: (id, text, progress) => reporter.status(vertex, id, text, progress),
  })
  const { cache, forms, scheduler, explainer, oneExecution, executions, digestLayers, sharedDigestLayers } = options
  const { signal, failed } = failures
  const shared = { cache, reporter, explainer, runContext }
  const recorded = createRecordedVertices({ ...shared, oneExecution, executions, forms, scheduler, signal, failed })
  const readiness = createReadiness(driverOf)
  const solveVertex = createVertexSolver({
    ...shared,
    driverOf,
    recorded,
    failures,
    digestLayers,
    sharedDigestLayers,
    readiness,
  })

  const outcomeOf = (vertex: Vertex): Promise<VertexOutcome> => {
    let outcome = outcomes.get(vertex.digest)
    if (outcome === undefined) {
      outcome = Promise.all(vertex.inputs.map((edge) => outcomeOf(edge.vertex))).then((inputs) =>
        solveVertex(vertex, inputs),
      )
      outcomes.set(vertex.digest, outcome)
    }
    return outcome
  }

  return {
    reporter,
    finish: () => {
      for (const state of reporter.states()) if (state.startedMs === undefined) reporter.completed(state.vertex, true)
    },
    outcome: async (vertex) => outcomes.get(vertex.digest)?.catch(() => undefined),
    use: async (outcome, work) => whileMissing([outcome], async () => work(await outcome.load())),
    solve: async (target, needs) => {
      const vertices = reachableVertices(target)
      for (const vertex of vertices) driverOf(vertex).admit?.(vertex)
      // Several targets of one build may need the same vertex in different forms.
      for (const [digest, { tree, tar }] of computeDemand(target, driverOf, needs)) {
        const known = demands.get(digest)
        demands.set(digest, { tree: tree || known?.tree === true, tar: tar || known?.tar === true })
      }
      readiness.add(vertices)
      for (const vertex of vertices) reporter.known(vertex)
      // Other branches end before the error leaves: nothing of this build may run on behind its caller's back.
      const all = Promise.allSettled(vertices.map((vertex) => outcomeOf(vertex)))
      try {
        return await outcomeOf(target.vertex)
      } catch (error) {
        await all
        throw failures.reason(error)
      }
    },
  }
}

function findDriver(drivers: readonly OpDriver[], vertex: Vertex): OpDriver {
  const driver = drivers.find((candidate) => candidate.handles(vertex))
  if (driver) return driver
  const what = vertex.op.kind === 'source' ? `source ${vertex.op.identifier}` : `op ${vertex.op.kind}`
  throw new BuilderError('OCI_STEP_UNSUPPORTED', `${what} is not supported`)
}
