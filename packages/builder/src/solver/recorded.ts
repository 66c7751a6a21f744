import { missingLayerOf } from '../layers/missing-form.ts'
import type { CacheKey } from '../cache/keys.ts'
import type { CacheCandidate, CacheManager } from '../cache/types.ts'
import { makeAhead } from '../layers/ahead.ts'
import type { Vertex } from '../graph/types.ts'
import type { Demand, OneExecution, OpDriver, Result, RunContext, SolverForms } from './types.ts'
import type { Explainer } from '../cache/explain.ts'
import { createOutcome } from './outcome.ts'
import type { VertexReporter } from './reporter.ts'
import type { Executions, Watcher } from './executions.ts'
import type { Scheduler } from './scheduler.ts'
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

/** Runs vertices that leave records, each once for all builds that need it at the same time. */
export interface RecordedVertices {
  /** Of a vertex whose record was found, or whose results were made just now. */
  outcome(work: RecordedWork, known: CacheCandidate | readonly Result[]): VertexOutcome
  /** @param find looks for a record: of another build of this session under the key that it tells, else under its own */
  runOnce<Found>(
    work: RecordedWork,
    lockKey: string,
    find: Find<Found>,
    telling: () => Telling,
  ): Promise<Found | readonly Result[]>
}

/** What is told of a run: why the cache did not have it, or nothing (`isQuiet`), where only what was never written is put together again. */
interface Telling {
  readonly missReason?: string | undefined
  readonly isQuiet?: boolean
}

type Find<Found> = (joinedKey?: string) => Promise<Found | undefined> | Found | undefined

/** A vertex that leaves a record. */
export interface RecordedWork {
  readonly vertex: Vertex
  readonly driver: OpDriver
  readonly inputs: readonly VertexOutcome[]
  readonly own: CacheKey
  /** By which it is found as well. */
  readonly keys: readonly (CacheKey | undefined)[]
}

/** What ran for as long is synced at once, the rest when the build ends. */
const LONG_MS = 1000

/** How often layers may turn out to be gone until that is the error: each time another process took them away meanwhile. */
const MAX_LOSSES = 8

/** Has the results that hold a missing layer made again; false when an error is another one, or nobody makes that layer. */
function loseMissing(outcomes: readonly VertexOutcome[], error: unknown): boolean {
  const layerId = missingLayerOf(error)
  const answers = new Map<VertexOutcome, boolean>()
  return layerId !== undefined && outcomes.map((outcome) => outcome.lose(layerId, answers)).includes(true)
}

/** Does something with the results of outcomes, and again when a layer of theirs turns out to be gone. */
export async function whileMissing<T>(outcomes: readonly VertexOutcome[], work: () => Promise<T>): Promise<T> {
  for (let losses = 0; ; losses++) {
    try {
      return await work()
    } catch (error) {
      if (losses >= MAX_LOSSES || !loseMissing(outcomes, error)) throw error
    }
  }
}

export function createRecordedVertices(options: RecordedOptions): RecordedVertices {
  const { reporter, signal } = options
  const outcome = (work: RecordedWork, known: CacheCandidate | readonly Result[]): VertexOutcome => {
    const { vertex, inputs, own } = work
    const found = isCandidate(known) ? known : undefined
    const find = (joinedKey = own.key): readonly Result[] | undefined => {
      // Another build may have made it anew meanwhile; what only a cache from elsewhere has is not under the store's key.
      const layers = options.cache.get(joinedKey)?.layers(vertex.digest) ?? found?.layers(vertex.digest)
      return layers && [{ kind: 'layers', layers }]
    }
    // Records without content are those whose layers nobody needed to be written, or that were pruned.
    const make = async (): Promise<readonly Result[]> => {
      try {
        // A record that never had files is of a vertex whose files lie in its inputs: a COPY that nobody wrote.
        return await runOnce(work, own.key, find, () =>
          options.cache.get(own.key)?.hasContent === false ? { isQuiet: true } : { missReason: 'its files are gone' },
        )
      } catch (cause) {
        throw options.failed(vertex, cause)
      }
    }
    const keys = found === undefined || found.key === own.key ? [own.key] : [own.key, found.key]
    const results = isCandidate(known) ? {} : { results: known }
    return createOutcome({ keys, cached: found !== undefined, inputs, ...results, find, make })
  }

  /**
   * Runs a vertex under the lock of its key: another build that is at it does it for both, and one of this session is
   * heard meanwhile. Nothing else is run under that lock: where an input has to be made first, or one turns out to be
   * gone, the lock is let go for it.
   */
  const runOnce = async <Found>(
    work: RecordedWork,
    lockKey: string,
    find: Find<Found>,
    telling: () => Telling,
  ): Promise<Found | readonly Result[]> => {
    const { vertex, inputs } = work
    const losses = { count: 0 }
    for (;;) {
      const done = await tryOnce(work, lockKey, find, (watcher) =>
        runLocked({ work, lockKey, find, telling, watcher, losses }),
      )
      if (done !== undefined) return done
      await loadInputs(vertex, inputs)
    }
  }

  const tryOnce = async <Found>(
    { vertex, own }: RecordedWork,
    lockKey: string,
    find: Find<Found>,
    attempt: (watcher: Watcher) => Promise<Found | readonly Result[] | undefined>,
  ): Promise<Found | readonly Result[] | undefined> => {
    const watcher = watcherOf(vertex)
    if (options.executions === undefined) return attempt(watcher)
    // What is made anew on purpose is shared with who wants the same, and with nobody else.
    const key = vertex.metadata.ignoreCache ? `${lockKey}#anew` : lockKey
    const ran = await options.executions.run(key, watcher, signal, async (audience) => ({
      recordKey: own.key,
      value: await attempt(audience),
    }))
    return 'value' in ran ? ran.value : ((await find(ran.joined)) ?? find())
  }

  const runLocked = async <Found>(attempt: {
    readonly work: RecordedWork
    readonly lockKey: string
    readonly find: Find<Found>
    readonly telling: () => Telling
    readonly watcher: Watcher
    readonly losses: { count: number }
  }): Promise<Found | readonly Result[] | undefined> => {
    const { work, losses } = attempt
    return options.oneExecution(attempt.lockKey, signal, async () => {
      const found = await attempt.find()
      if (found !== undefined) return found
      if (!work.inputs.every((input) => input.isAtHand())) return undefined
      const startMs = Date.now()
      const results = await execute(work, attempt.telling(), attempt.watcher).catch((error: unknown) => {
        if (losses.count++ >= MAX_LOSSES || !loseMissing(work.inputs, error)) throw error
        return undefined
      })
      if (results !== undefined) record(work, results)
      // Whatever becomes of this build and of the machine: so much work is worth the wait for the disk.
      if (Date.now() - startMs >= LONG_MS) options.forms.syncTrees()
      return results
    })
  }

  const watcherOf = (vertex: Vertex): Watcher => ({
    started: (missReason) => reporter.started(vertex, missReason, true),
    completed: () => reporter.completed(vertex, false),
    log: (stream, data) => reporter.log(vertex, stream, data),
    status: (id, text, progress) => reporter.status(vertex, id, text, progress),
  })

  const execute = async (
    { vertex, driver, inputs }: RecordedWork,
    { missReason, isQuiet = false }: Telling,
    watcher: Watcher,
  ): Promise<readonly Result[]> => {
    const loaded = await loadInputs(vertex, inputs)
    return options.scheduler.run(async (slot) => {
      if (!isQuiet) watcher.started(missReason)
      const { log, status } = watcher
      const context = { ...options.runContext(vertex), log, status, whileWaiting: slot.whileWaiting }
      const results = await driver.run(vertex, loaded, context)
      await persist(results, context.demand)
      if (isQuiet) reporter.completed(vertex, true)
      else watcher.completed()
      return results
    }, signal)
  }

  const persist = async (results: readonly Result[], demand: Readonly<Demand>): Promise<void> => {
    for (const result of results) {
      if (result.kind !== 'layers') continue
      for (const layer of result.layers) {
        if (options.forms.isPersistent(layer)) continue
        if (demand.tree) await makeAhead(() => options.forms.tree(layer))
        else if (demand.tar) await options.forms.tar(layer)
      }
    }
  }

  const record = ({ vertex, driver, own, keys }: RecordedWork, results: readonly Result[]): void => {
    const layers = results[0]?.kind === 'layers' ? results[0].layers : []
    options.cache.save({
      ...own,
      alternatives: keys.flatMap((key) => (key && key.key !== own.key ? [key.key] : [])),
      layers,
      hasContent: results.length === 1 && layers.every((layer) => options.forms.isPersistent(layer)),
      name: vertex.metadata.name,
      type: driver.recordType,
      isReplacing: vertex.metadata.ignoreCache ?? false,
    })
    options.explainer?.remember(vertex.metadata.name, own.key)
  }

  return { outcome, runOnce }
}

export function isCandidate(known: CacheCandidate | readonly Result[]): known is CacheCandidate {
  return !Array.isArray(known)
}
