import { randomBytes } from 'node:crypto'
import type { Explainer } from '../cache/explain.ts'
import type { CacheKey } from '../cache/keys.ts'
import { noRoomError } from '../content/disk-errors.ts'
import type { CacheRecord, Store } from '../content/types.ts'
import { BuilderError } from '../errors.ts'
import type { LayerForms } from '../forms/types.ts'
import type { Edge, Vertex } from '../graph/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { CacheMap, Demand, OpDriver, Result, RunContext } from '../ops/types.ts'
import { computeDemand, reachableVertices } from './demand.ts'
import { withLocation } from '../locate-error.ts'
import { createVertexReporter, type VertexReporter } from './reporter.ts'
import type { Scheduler } from './scheduler.ts'
import type { ProgressSink } from '../progress.ts'
import {
  contentKey,
  definitionKey,
  describeFiles,
  isNever,
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
}

export interface Solver {
  /** Solves everything that `target` needs; a failure cancels what is not needed any more and keeps what is finished. */
  solve(target: Edge, needs: Demand): Promise<VertexOutcome>
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
  let demands: ReadonlyMap<Digest, Demand> = new Map()
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
      if (map.neverByDefinition || map.isUnrecorded) return await runUnrecorded(vertex, driver, map, inputs)
      return await solveRecorded(vertex, driver, map, inputs)
    } catch (cause) {
      const error = withLocation(noRoomError(options.store.root, cause), vertex.metadata.location)
      const aborted = signal.aborted
      reporter.failed(vertex, error, aborted)
      if (!aborted) failure.abort(error)
      throw error
    }
  }

  const runUnrecorded = async (
    vertex: Vertex,
    driver: OpDriver,
    map: CacheMap,
    inputs: readonly VertexOutcome[],
  ): Promise<VertexOutcome> => {
    const load = once(async () => {
      reporter.started(vertex)
      try {
        const results = await driver.run(vertex, await loadInputs(vertex, inputs), runContext(vertex))
        reporter.completed(vertex, map.isPresent ?? false)
        return results
      } catch (error) {
        reporter.failed(vertex, error, signal.aborted)
        throw error
      }
    })
    if (map.isPresent) reporter.completed(vertex, true)
    return { key: map.identity ?? `never:${vertex.digest}`, cached: map.isPresent ?? false, load }
  }

  const solveRecorded = async (
    vertex: Vertex,
    driver: OpDriver,
    map: CacheMap,
    inputs: readonly VertexOutcome[],
  ): Promise<VertexOutcome> => {
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
        ? await contentKey(vertex, map, inputs, options.digestLayers)
        : undefined
    const found = (): CacheRecord | undefined => {
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
    // Another build that executes the same vertex holds this lock: we wait for its result instead of doing it twice.
    await using lock = await options.store.locks.acquire(`exec-${first.key}`, { signal })
    const late = lock && found()
    if (late) return hit(vertex, driver, late, inputs)
    const reason = ignoreCache ? undefined : options.explainer?.explain(vertex.metadata.name, own)
    const results = await execute(vertex, driver, inputs, reason)
    record(vertex, driver, own, [fast, slow], results)
    return { key: own.key, cached: false, load: async () => results }
  }

  const hit = (
    vertex: Vertex,
    driver: OpDriver,
    found: CacheRecord,
    inputs: readonly VertexOutcome[],
  ): VertexOutcome => {
    reporter.completed(vertex, true)
    const load = once(async (): Promise<readonly Result[]> => {
      // Records without content are those whose layers were cheap to make again, or were pruned.
      const hasContent =
        found.hasContent &&
        found.layerIds.every(
          (id) =>
            options.store.layers.get(id) !== undefined &&
            options.forms.hasContent(options.forms.load(id, vertex.digest)),
        )
      if (!hasContent) return execute(vertex, driver, inputs, undefined)
      return [{ kind: 'layers', layers: found.layerIds.map((id) => options.forms.load(id, vertex.digest)) }]
    })
    return { key: found.key, cached: true, load }
  }

  const execute = async (
    vertex: Vertex,
    driver: OpDriver,
    inputs: readonly VertexOutcome[],
    missReason: string | undefined,
  ): Promise<readonly Result[]> => {
    const loaded = await loadInputs(vertex, inputs)
    return options.scheduler.run(async () => {
      reporter.started(vertex, missReason)
      const context = runContext(vertex)
      const results = await driver.run(vertex, loaded, context)
      await persist(results, context.demand)
      reporter.completed(vertex, false)
      return results
    }, signal)
  }

  const persist = async (results: readonly Result[], demand: Readonly<Demand>): Promise<void> => {
    for (const result of results) {
      if (result.kind !== 'layers') continue
      for (const layer of result.layers) {
        if (options.forms.isPersistent(layer)) continue
        if (demand.tree) await options.forms.tree(layer)
        else if (demand.tar) await options.forms.tar(layer)
      }
    }
  }

  const record = (
    vertex: Vertex,
    driver: OpDriver,
    own: CacheKey,
    keys: readonly (CacheKey | undefined)[],
    results: readonly Result[],
  ): void => {
    const layers = results[0]?.kind === 'layers' ? results[0].layers : []
    const now = Date.now()
    const alternatives = keys.flatMap((key) => (key && key.key !== own.key ? [key.key] : []))
    if (vertex.metadata.ignoreCache) for (const key of alternatives) options.store.cache.delete(key)
    options.store.cache.put(
      {
        key: own.key,
        layerIds: layers.map((layer) => layer.id),
        hasContent: results.length === 1 && layers.every((layer) => options.forms.isPersistent(layer)),
        createdMs: now,
        usedMs: now,
        usageCount: 1,
        name: vertex.metadata.name,
        type: driver.recordType,
        preimage: own.preimage,
      },
      alternatives,
    )
    options.explainer?.remember(vertex.metadata.name, own.key)
  }

  const runContext = (vertex: Vertex): RunContext => ({
    signal,
    demand: demands.get(vertex.digest) ?? { tree: false, tar: false },
    log: (stream, data) => reporter.log(vertex, stream, data),
    status: (id, text, progress) => reporter.status(vertex, id, text, progress),
  })

  return {
    reporter,
    finish: () => {
      for (const state of reporter.states()) if (state.startedMs === undefined) reporter.completed(state.vertex, true)
    },
    solve: async (target, needs) => {
      const vertices = reachableVertices(target)
      demands = computeDemand(target, driverOf, needs)
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

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined
  return () => (promise ??= work())
}
