import { randomBytes } from 'node:crypto'
import type { Explainer } from '../cache/explain.ts'
import type { CacheKey } from '../cache/keys.ts'
import { noRoomError } from '../base/disk-errors.ts'
import type { CacheRecord, Store } from '../store/types.ts'
import { BuilderError } from '../base/errors.ts'
import { missingLayerOf } from '../layers/missing-form.ts'
import type { LayerForms } from '../layers/types.ts'
import type { Edge, Vertex } from '../graph/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { Demand, OpDriver, Result, RunContext } from './types.ts'
import type { CacheMap } from '../cache/types.ts'
import { computeDemand, reachableVertices } from './demand.ts'
import { withLocation } from '../base/locate-error.ts'
import { createOutcome } from './outcome.ts'
import { createVertexReporter, type VertexReporter } from './reporter.ts'
import { createRecordedVertices, whileMissing, type RecordedWork } from './recorded.ts'
import type { Executions } from './executions.ts'
import type { Scheduler } from './scheduler.ts'
import type { ProgressSink } from '../base/progress.ts'
import {
  contentKey,
  definitionKey,
  describeFiles,
  isNever,
  withContentOfLocals,
  loadInputs,
  type DigestLayers,
  type VertexOutcome,
} from './vertex-keys.ts'

export interface SolverOptions {
  readonly drivers: readonly OpDriver[]
  readonly store: Store
  readonly forms: LayerForms
  readonly scheduler: Scheduler
  readonly onProgress: ProgressSink
  readonly signal: AbortSignal
  /** Digest of the content that `selectors` choose from a chain of layers. */
  readonly digestLayers: DigestLayers
  readonly explainer?: Explainer
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
  /** Says of every vertex that nobody had to look into that it was not needed: cached. */
  finish(): void
  readonly reporter: VertexReporter
}

/** A scheduler of vertices over a cache. It knows no op: drivers say how each is keyed and how it runs. */
export function createSolver(options: SolverOptions): Solver {
  const reporter = createVertexReporter(options.onProgress)
  const outcomes = new Map<Digest, Promise<VertexOutcome>>()
  const failure = new AbortController()
  const signal = AbortSignal.any([options.signal, failure.signal])
  const demands = new Map<Digest, Demand>()
  const driverOf = (vertex: Vertex): OpDriver => findDriver(options.drivers, vertex)

  const outcomeOf = (vertex: Vertex): Promise<VertexOutcome> => {
    let outcome = outcomes.get(vertex.digest)
    if (outcome === undefined) {
      outcome = solveVertex(vertex)
      outcomes.set(vertex.digest, outcome)
    }
    return outcome
  }

  const solveVertex = async (vertex: Vertex): Promise<VertexOutcome> => {
    const inputs = await Promise.all(vertex.inputs.map((edge) => outcomeOf(edge.vertex)))
    signal.throwIfAborted()
    try {
      const driver = driverOf(vertex)
      const map = await driver.cacheMap(vertex)
      if (map.neverByDefinition || map.isUnrecorded) return runUnrecorded(vertex, driver, map, inputs)
      return await solveRecorded(vertex, driver, map, inputs)
    } catch (cause) {
      const error = failed(vertex, cause)
      if (missingLayerOf(error) !== undefined) {
        reporter.failed(vertex, error, signal.aborted)
        if (!signal.aborted) failure.abort(error)
      }
      throw error
    }
  }

  const runUnrecorded = (
    vertex: Vertex,
    driver: OpDriver,
    map: CacheMap,
    inputs: readonly VertexOutcome[],
  ): VertexOutcome => {
    const make = async (): Promise<readonly Result[]> => {
      reporter.started(vertex)
      try {
        const results = await driver.run(vertex, await loadInputs(vertex, inputs), runContext(vertex))
        reporter.completed(vertex, map.isPresent ?? false)
        return results
      } catch (cause) {
        throw failed(vertex, cause)
      }
    }
    if (map.isPresent) reporter.completed(vertex, true)
    const key = map.identity ?? `never:${vertex.digest}`
    return createOutcome({ key, cached: map.isPresent ?? false, inputs, find: () => undefined, make })
  }

  const solveRecorded = async (
    vertex: Vertex,
    driver: OpDriver,
    given: CacheMap,
    inputs: readonly VertexOutcome[],
  ): Promise<VertexOutcome> => {
    const map = withContentOfLocals(given, inputs)
    const fast =
      map.identity !== undefined || vertex.inputs.every((edge, index) => !isNever(inputs[index]!))
        ? definitionKey(vertex, map, inputs)
        : undefined
    const ignoreCache = vertex.metadata.ignoreCache ?? false
    const { cache } = options.store
    if (fast && !ignoreCache) {
      const record = cache.find(fast.key)
      if (record) return hit(vertex, driver, record, inputs)
    }
    const slow =
      map.identity === undefined && map.selectors.some((selectors) => selectors !== undefined)
        ? await whileMissing(inputs, () => contentKey(vertex, map, inputs, options.digestLayers))
        : undefined
    const found = (joinedKey?: string): CacheRecord | undefined => {
      if (joinedKey !== undefined) return cache.find(joinedKey)
      if (ignoreCache) return undefined
      const record = (fast && cache.find(fast.key)) ?? (slow && cache.find(slow.key))
      if (record && fast && record.key !== fast.key) cache.link(fast.key, record.key)
      return record
    }
    const early = found()
    if (early) return hit(vertex, driver, early, inputs)
    const first = fast ?? slow
    if (first === undefined) throw new Error(`vertex ${vertex.metadata.name} has no cache key`)
    // What is made anew on purpose gets a key of its own: what was built on the former result is not built on this one.
    const described = await describeFiles(vertex, map, inputs, slow ?? first)
    const own = ignoreCache
      ? { ...described, key: `${first.key}#${randomBytes(8).toString('hex')}` }
      : { ...described, key: first.key }
    const work: RecordedWork = { vertex, driver, inputs, own, keys: [fast, slow] }
    const done = await recorded.runOnce<CacheRecord | readonly Result[]>(work, first.key, found, () =>
      ignoreCache ? {} : { missReason: options.explainer?.explain(vertex.metadata.name, own) },
    )
    if (!isResults(done)) return hit(vertex, driver, done, inputs)
    return recorded.outcome(work, false, done)
  }

  const hit = (
    vertex: Vertex,
    driver: OpDriver,
    found: CacheRecord,
    inputs: readonly VertexOutcome[],
  ): VertexOutcome => {
    reporter.completed(vertex, true)
    // Another build may replace the record: its layers are leased by themselves.
    for (const id of found.layerIds) options.store.lease(id)
    const own: CacheKey = { key: found.key, preimage: found.preimage }
    return recorded.outcome({ vertex, driver, inputs, own, keys: [] }, true)
  }

  /** What went wrong in a vertex, with its place; everything else of the build stops. */
  const failed = (vertex: Vertex, cause: unknown): unknown => {
    const error = withLocation(noRoomError(options.store.root, cause), vertex.metadata.location)
    // A layer that is gone is not the end yet: whoever asked for it has it made again.
    if (missingLayerOf(error) !== undefined) return error
    const aborted = signal.aborted
    reporter.failed(vertex, error, aborted)
    if (!aborted) failure.abort(error)
    return error
  }

  const runContext = (vertex: Vertex): RunContext => ({
    signal,
    demand: demands.get(vertex.digest) ?? { tree: false, tar: false },
    whileWaiting: (wait) => wait(),
    log: (stream, data) => reporter.log(vertex, stream, data),
    status: (id, text, progress) => reporter.status(vertex, id, text, progress),
  })

  const recorded = createRecordedVertices({
    store: options.store,
    forms: options.forms,
    scheduler: options.scheduler,
    explainer: options.explainer,
    executions: options.executions,
    reporter,
    signal,
    runContext,
    failed,
  })

  return {
    reporter,
    finish: () => {
      for (const state of reporter.states()) if (state.startedMs === undefined) reporter.completed(state.vertex, true)
    },
    use: async (outcome, work) => whileMissing([outcome], async () => work(await outcome.load())),
    solve: async (target, needs) => {
      const vertices = reachableVertices(target)
      // Several targets of one build may need the same vertex in different forms.
      for (const [digest, { tree, tar }] of computeDemand(target, driverOf, needs)) {
        const known = demands.get(digest)
        demands.set(digest, { tree: tree || known?.tree === true, tar: tar || known?.tar === true })
      }
      for (const vertex of vertices) reporter.known(vertex)
      // Other branches end before the error leaves: nothing of this build may run on behind its caller's back.
      const all = Promise.allSettled(vertices.map((vertex) => outcomeOf(vertex)))
      try {
        return await outcomeOf(target.vertex)
      } catch (error) {
        await all
        throw options.signal.aborted ? canceled(options.signal) : (failure.signal.reason ?? error)
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

function canceled(signal: AbortSignal): unknown {
  const { reason } = signal
  if (reason instanceof BuilderError) return reason
  return new BuilderError('OCI_CANCELED', 'the build was canceled', { cause: reason })
}

function isResults(done: CacheRecord | readonly Result[]): done is readonly Result[] {
  return Array.isArray(done)
}
