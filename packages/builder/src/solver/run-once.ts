import type { Vertex } from '../graph/types.ts'
import type { Watcher } from './executions.ts'
import { loseMissing, MAX_LOSSES } from './missing-layers.ts'
import { recordVertex, runVertex, type RecordedOptions, type RecordedWork, type Telling } from './run-vertex.ts'
import type { Result } from './types.ts'
import { loadInputs } from './vertex-keys.ts'

/** One run of a vertex, whoever does it: this build, another of its session, or another process. */
export interface OneRun<Found> {
  readonly work: RecordedWork
  readonly lockKey: string
  /** Looks for a record: of another build of this session under the key that it tells, else under its own. */
  readonly find: (joinedKey?: string) => Promise<Found | undefined> | Found | undefined
  readonly telling: () => Telling
}

/** What ran for as long is synced at once, the rest when the build ends. */
const LONG_MS = 1000

/**
 * Runs a vertex under the lock of its key: another build that is at it does it for both, and one of this session is
 * heard meanwhile. Nothing else is run under that lock: where an input has to be made first, or one turns out to be
 * gone, the lock is let go for it.
 */
export async function runOnce<Found>(options: RecordedOptions, run: OneRun<Found>): Promise<Found | readonly Result[]> {
  const { vertex, inputs } = run.work
  const losses = { count: 0 }
  for (;;) {
    const done = await tryOnce(options, run, (watcher) => runLocked(options, run, watcher, losses))
    if (done !== undefined) return done
    await loadInputs(vertex, inputs)
  }
}

async function tryOnce<Found>(
  options: RecordedOptions,
  { work: { vertex, own }, lockKey, find }: OneRun<Found>,
  attempt: (watcher: Watcher) => Promise<Found | readonly Result[] | undefined>,
): Promise<Found | readonly Result[] | undefined> {
  const watcher = watcherOf(options, vertex)
  if (options.executions === undefined) return attempt(watcher)
  // What is made anew on purpose is shared with who wants the same, and with nobody else.
  const key = vertex.metadata.ignoreCache ? `${lockKey}#anew` : lockKey
  const ran = await options.executions.run(key, watcher, options.signal, async (audience) => ({
    recordKey: own.key,
    value: await attempt(audience),
  }))
  return 'value' in ran ? ran.value : ((await find(ran.joined)) ?? find())
}

async function runLocked<Found>(
  options: RecordedOptions,
  { work, lockKey, find, telling }: OneRun<Found>,
  watcher: Watcher,
  losses: { count: number },
): Promise<Found | readonly Result[] | undefined> {
  return options.oneExecution(lockKey, options.signal, async () => {
    const found = await find()
    if (found !== undefined) return found
    if (!work.inputs.every((input) => input.isAtHand())) return undefined
    const startMs = Date.now()
    const results = await runVertex(options, work, telling(), watcher).catch((error: unknown) => {
      if (losses.count++ >= MAX_LOSSES || !loseMissing(work.inputs, error)) throw error
      return undefined
    })
    if (results !== undefined) recordVertex(options, work, results)
    // Whatever becomes of this build and of the machine: so much work is worth the wait for the disk.
    if (Date.now() - startMs >= LONG_MS) options.forms.syncTrees()
    return results
  })
}

function watcherOf({ reporter }: RecordedOptions, vertex: Vertex): Watcher {
  return {
    started: (missReason) => reporter.started(vertex, missReason, true),
    completed: () => reporter.completed(vertex, false),
    log: (stream, data) => reporter.log(vertex, stream, data),
    status: (id, text, progress) => reporter.status(vertex, id, text, progress),
  }
}
