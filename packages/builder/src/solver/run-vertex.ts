import type { Explainer } from '../cache/explain.ts'
import type { SharedKey } from '../cache/buildkit/types.ts'
import type { CacheKey, CacheManager } from '../cache/types.ts'
import type { Vertex } from '../graph/types.ts'
import { makeAhead } from '../layers/ahead.ts'
import type { Executions, Watcher } from './executions.ts'
import type { VertexReporter } from './reporter.ts'
import type { Scheduler } from './scheduler.ts'
import type { Demand, OneExecution, OpDriver, Result, RunContext, SolverForms } from './types.ts'
import { loadInputs, type VertexOutcome } from './vertex-keys.ts'

export interface RecordedOptions {
  readonly cache: CacheManager
  readonly oneExecution: OneExecution
  readonly forms: SolverForms
  readonly scheduler: Scheduler
  readonly explainer?: Explainer | undefined
  /** Of the builds of one session; undefined where there is but one. */
  readonly executions?: Executions | undefined
  readonly reporter: VertexReporter
  readonly signal: AbortSignal
  readonly runContext: (vertex: Vertex) => RunContext
  /** Reports what went wrong in a vertex, and gives it with its place. */
  readonly failed: (vertex: Vertex, cause: unknown) => unknown
}

/** A vertex that leaves a record. */
export interface RecordedWork {
  readonly vertex: Vertex
  readonly driver: OpDriver
  readonly inputs: readonly VertexOutcome[]
  readonly own: CacheKey
  readonly shared: SharedKey
  /** By which it is found as well. */
  readonly keys: readonly (CacheKey | undefined)[]
}

/** What is told of a run: why the cache did not have it, or nothing (`isQuiet`), where only what was never written is put together again. */
export interface Telling {
  readonly missReason?: string | undefined
  readonly isQuiet?: boolean
}

/** Runs a vertex and keeps its results in the form that was asked for. */
export async function runVertex(
  options: RecordedOptions,
  { vertex, driver, inputs }: RecordedWork,
  { missReason, isQuiet = false }: Telling,
  watcher: Watcher,
): Promise<readonly Result[]> {
  await driver.ready?.(vertex)
  const loaded = await loadInputs(vertex, inputs)
  return options.scheduler.run(async (slot) => {
    if (!isQuiet) watcher.started(missReason)
    const { log, status } = watcher
    const context = { ...options.runContext(vertex), log, status, whileWaiting: slot.whileWaiting }
    const results = await driver.run(vertex, loaded, context)
    await persist(options.forms, results, context.demand)
    if (isQuiet) options.reporter.completed(vertex, true)
    else watcher.completed()
    return results
  }, options.signal)
}

async function persist(forms: SolverForms, results: readonly Result[], demand: Readonly<Demand>): Promise<void> {
  for (const result of results) {
    if (result.kind !== 'layers') continue
    for (const layer of result.layers) {
      if (forms.isPersistent(layer)) continue
      if (demand.tree) await makeAhead(() => forms.forStep(layer))
      else if (demand.tar) await forms.tar(layer)
    }
  }
}

/** Leaves the record by which another build finds the results. */
export function recordVertex(
  { cache, forms, explainer }: RecordedOptions,
  { vertex, driver, own, keys }: RecordedWork,
  results: readonly Result[],
): void {
  const layers = results[0]?.kind === 'layers' ? results[0].layers : []
  cache.save({
    ...own,
    alternatives: keys.flatMap((key) => (key && key.key !== own.key ? [key.key] : [])),
    layers,
    hasContent: results.length === 1 && layers.every((layer) => forms.isPersistent(layer)),
    name: vertex.metadata.name,
    type: driver.recordType,
    isReplacing: vertex.metadata.ignoreCache ?? false,
    notes: explainer?.notes(vertex.metadata.name, own.key) ?? [],
  })
}
