import fs, { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import { isTsOciError } from '../base/errors.ts'
import { remove, tag } from '../api/images.ts'
import { problemsOfStore } from './store-check.test.helper.ts'
import { addImage } from './store-process.test.helper.ts'
import { layer } from './store-rows.test.helper.ts'
import { openStore } from './store.ts'
import type { Store } from './types.ts'

/*
 * Faults at each call that an operation makes to the disk: `node THIS kill OPERATION ROOT NUMBER` ends this process by
 * SIGKILL just before the call of that number; `node THIS full OPERATION DIRECTORY [FIRST STEP]` lets each call in turn find no
 * room, checks the store after each, and prints what was wrong, a line each.
 */

const NAME = (short: string): string => `docker.io/library/${short}:latest`

interface Operation {
  /** What another tool did before. */
  readonly before?: (root: string) => void
  readonly run: (root: string) => Promise<void>
  /** Names that are there however it ends, and those that are there when it has been run again. */
  readonly always: readonly string[]
  readonly after: readonly string[]
}

async function inStore(root: string, work: (store: Store) => Promise<void> | void): Promise<void> {
  await using store = await openStore({ root })
  await work(store)
}

/** What is done to the store of {@link prepareStore}, which holds `one` and `two`. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  tag: { run: (root) => tag('one', 'three', { store: root }), always: ['one', 'two'], after: ['one', 'three', 'two'] },
  move: { run: (root) => tag('one', 'two', { store: root }), always: ['one', 'two'], after: ['one', 'two'] },
  remove: {
    run: async (root) => {
      await remove('one', { store: root }).catch((error: unknown) => {
        if (!isTsOciError(error) || error.code !== 'OCI_IMAGE_NOT_FOUND') throw error
      })
    },
    always: ['two'],
    after: ['two'],
  },
  put: {
    run: (root) => inStore(root, (store) => addImage(store, 'three')),
    always: ['one', 'two'],
    after: ['one', 'three', 'two'],
  },
  update: {
    run: (root) =>
      inStore(root, (store) =>
        store.images.update(NAME('one'), (image) => ({ ...image, repoDigests: ['a.b/c@sha256:0'] })),
      ),
    always: ['one', 'two'],
    after: ['one', 'two'],
  },
  prune: {
    run: (root) => inStore(root, async (store) => void (await store.prune({ all: true }))),
    always: ['one', 'two'],
    after: ['one', 'two'],
  },
  adopt: {
    // As another tool leaves it: with an entry more, and not signed.
    before: (root) => {
      const index = JSON.parse(readFileSync(join(root, 'index.json'), 'utf8'))
      const theirs = JSON.parse(readFileSync(join(root, 'theirs.json'), 'utf8'))
      const manifests = [...index.manifests, ...theirs.manifests]
      writeFileSync(join(root, 'index.json'), JSON.stringify({ ...theirs, manifests }))
    },
    run: (root) => inStore(root, () => undefined),
    always: ['one', 'two'],
    after: ['one', 'theirs', 'two'],
  },
}

/** A store with two images, an image that no row names, and things that prune removes. */
export async function prepareStore(root: string, operation: string): Promise<void> {
  await inStore(root, (store) => addImage(store, 'theirs'))
  await inStore(root, (store) => {
    const index = JSON.parse(readFileSync(join(root, 'index.json'), 'utf8'))
    delete index.annotations
    writeFileSync(join(root, 'theirs.json'), JSON.stringify(index))
    store.images.remove(NAME('theirs'))
  })
  await inStore(root, (store) => {
    addImage(store, 'one')
    addImage(store, 'two')
    store.layers.writeTable('l-old', { entries: [] })
    mkdirSync(join(store.snapshotDirectory('l-old'), 'usr'), { recursive: true })
    const tree = { xattrs: 'trusted', owners: 'identity', bootId: 'x', synced: true } as const
    store.layers.put(layer('l-old', { hasTable: true, trees: [tree] }))
    store.cacheMountDirectory('cache')
  })
  OPERATIONS[operation]!.before?.(root)
}

/** What is wrong with a store in which an operation was cut short, and then done. */
export async function problemsAfter(operation: string, root: string): Promise<readonly string[]> {
  const { run, always, after } = OPERATIONS[operation]!
  const problems: string[] = []
  const expect = async (names: readonly string[], when: string): Promise<void> => {
    await inStore(root, (store) => {
      const found = new Set(store.images.list().map(({ name }) => name))
      for (const name of names) if (!found.has(NAME(name))) problems.push(`${when}, ${name} is gone`)
    })
  }
  await expect(always, 'after the fault')
  await run(root)
  await expect(after, 'when done again')
  await inStore(root, async (store) => void (await store.prune({ all: true })))
  await expect(after, 'after prune')
  return [...problems, ...(await problemsOfStore(root))]
}

const CALLS = [
  'openSync',
  'writeSync',
  'writeFileSync',
  'renameSync',
  'mkdirSync',
  'chmodSync',
  'fchmodSync',
  'fsyncSync',
  'rmSync',
  'unlinkSync',
  'closeSync',
] as const
const NEEDS_ROOM = new Set<string>([
  'writeSync',
  'writeFileSync',
  'renameSync',
  'mkdirSync',
  'fsyncSync',
  'run',
  'exec',
])

/** Calls `fault` before each call to the disk, with its name. */
function watchCalls(fault: (name: string) => void): void {
  const watch = (target: object, name: string): void => {
    const members = target as Record<string, (...values: unknown[]) => unknown>
    const original = members[name]!
    members[name] = function watched(this: unknown, ...values: unknown[]): unknown {
      fault(name)
      return original.apply(this, values)
    }
  }
  for (const name of CALLS) watch(fs, name)
  watch(StatementSync.prototype, 'run')
  watch(DatabaseSync.prototype, 'exec')
  syncBuiltinESMExports()
}

async function killAt(operation: string, root: string, number: number): Promise<void> {
  let count = 0
  watchCalls(() => {
    if (++count === number) process.kill(process.pid, 'SIGKILL')
  })
  await OPERATIONS[operation]!.run(root)
  console.log(count)
}

function noRoom(name: string): Error {
  const error = new Error('ENOSPC: no space left on device')
  const isDatabase = name === 'run' || name === 'exec'
  return Object.assign(error, isDatabase ? { code: 'ERR_SQLITE_ERROR', errcode: 13 } : { code: 'ENOSPC' })
}

async function fillEach(operation: string, directory: string, first: number, step: number): Promise<void> {
  let count = 0
  let at = 0
  watchCalls((name) => {
    if (NEEDS_ROOM.has(name) && ++count === at) throw noRoom(name)
  })
  const prepared = join(directory, 'prepared')
  await prepareStore(prepared, operation)
  for (let isReached = true, number = first; isReached; number += step) {
    const root = join(directory, String(number))
    cpSync(prepared, root, { recursive: true })
    ;[count, at] = [0, number]
    const error = await OPERATIONS[operation]!.run(root).then(
      () => undefined,
      (cause: unknown) => cause,
    )
    isReached = count >= number
    at = 0
    const isOurs = error === undefined || (isTsOciError(error) && error.code === 'OCI_STORE_FULL')
    const wrong = [
      ...(isOurs ? [] : [`it answered ${String((error as Error).stack)}`]),
      ...(await problemsAfter(operation, root)),
    ]
    for (const problem of wrong) console.log(`no room at call ${number}: ${problem}`)
    rmSync(root, { recursive: true, force: true })
  }
  console.log(`calls ${count}`)
}

const [, script, mode, operation = '', root = '', number = '1', step = '1'] = process.argv
if (script?.endsWith('store-faults.test.helper.ts') === true) {
  if (mode === 'kill') await killAt(operation, root, Number(number))
  if (mode === 'full') await fillEach(operation, root, Number(number), Number(step))
}
