import { setTimeout as delay } from 'node:timers/promises'
import type { CompareTreeOutput, LayerArchive, TreeRecord } from '../disk/job-types.ts'
import type { View, ViewEntry } from '../view/types.ts'
import { createChainView } from '../view/view.ts'
import { treeChanges } from '../view/tree-changes.ts'
import { ownersOnDisk, recordsOnDisk } from '../disk/owner-record.ts'
import { detectFileCompression } from '../tar/decompress.ts'
import { findBlob, findTar } from './at-hand.ts'
import { resolveContents } from './contents.ts'
import type { FormsState } from './conversion.ts'
import type { LayerHandle, PlainCopy, WorkingTree, WorkingTrees } from './types.ts'

/** Trees that wait for a step; of more the oldest goes, and is made again from its layers where it was wanted after all. */
const MAX_WAITING = 4

/** The kernel's clock for files goes by ticks, of 10 ms at the most. */
const TICK_MS = 20

interface WaitingTree {
  readonly ids: readonly string[]
  readonly temporary: AsyncDisposable & { readonly path: string }
  readonly view: View
  readonly record: TreeRecord | undefined
}

/**
 * The working trees of one build: where nothing can be mounted over anything, a step's root is a plain directory that it changes
 * and hands on to the step that follows. Each belongs to one step at a time. Whoever comes second, or again after a failure, has
 * another one made from the layers; nothing of one tree is ever part of another.
 */
export function createWorkingTrees(
  state: FormsState,
  viewOf: (chain: readonly LayerHandle[]) => Promise<View>,
): WorkingTrees {
  const waiting: WaitingTree[] = []
  const copies = new Map<string, Promise<AsyncDisposable & PlainCopy>>()

  async function take(chain: readonly LayerHandle[]): Promise<WorkingTree> {
    const ids = chain.map((layer) => layer.id)
    const view = await viewOf(chain)
    // Found and taken in one turn: nobody else sees it from here on.
    const found = takeNearest(waiting, ids)
    const temporary = found?.temporary ?? (await state.store.createTemporaryDirectory('working-tree'))
    try {
      const record = await prepare(state, temporary.path, view, found)
      return workingTree(state, { temporary, record, keep: (tree) => waiting.push(tree), viewOf, makeRoom })
    } catch (error) {
      await temporary[Symbol.asyncDispose]()
      throw error
    }
  }

  async function makeRoom(): Promise<void> {
    while (waiting.length > MAX_WAITING) await waiting.shift()!.temporary[Symbol.asyncDispose]()
  }

  return {
    take,
    copyOnce: (chain, path) => {
      const key = JSON.stringify([chain.map((layer) => layer.id), path])
      let copy = copies.get(key)
      if (copy === undefined) {
        copy = copyOf(state, viewOf, chain, path)
        copies.set(key, copy)
        copy.catch(() => copies.delete(key))
      }
      return copy
    },
    copy: (chain, path) => copyOf(state, viewOf, chain, path),
    discard: async () => {
      for (const { temporary } of waiting.splice(0)) await temporary[Symbol.asyncDispose]()
      for (const copy of copies.values()) await (await copy.catch(() => undefined))?.[Symbol.asyncDispose]()
      copies.clear()
    },
  }
}

/** Of those that hold the beginning of a chain the one that holds most of it. */
function takeNearest(waiting: WaitingTree[], ids: readonly string[]): WaitingTree | undefined {
  let best = -1
  for (const [index, tree] of waiting.entries()) {
    const isPrefix = tree.ids.every((id, at) => ids[at] === id)
    if (isPrefix && (best < 0 || tree.ids.length > waiting[best]!.ids.length)) best = index
  }
  return best < 0 ? undefined : waiting.splice(best, 1)[0]
}

/** Brings a directory to what a view shows, and says what it then holds. */
async function prepare(
  state: FormsState,
  directory: string,
  view: View,
  found: WaitingTree | undefined,
): Promise<TreeRecord> {
  const root = rootOf(directory)
  // Its own root is the step's: the directory around it is ours alone.
  if (found === undefined) await state.jobs.run('makeDirectory', { path: root, mode: 0o755, uid: 0, gid: 0 }, true)
  const { removed, entries } = treeChanges(found?.view ?? createChainView([]), view)
  const isSame = removed.length === 0 && entries.length === 0
  if (!isSame) await write(state, root, removed, entries)
  const record = (isSame ? found?.record : undefined) ?? (await state.jobs.run('recordTree', { root }, true))
  await waitForTick(record, state.signal)
  return record
}

async function write(
  state: FormsState,
  destination: string,
  removed: readonly string[],
  entries: readonly ViewEntry[],
): Promise<void> {
  const { archives, others } = splitByBlob(state, entries)
  const resolved = await resolveContents(state, others)
  const owners = ownersOnDisk((await state.executor()).idMapping)
  await state.jobs.run('writePlainTree', { removed, entries: resolved, archives, destination, owners }, true)
}

/** Of layers that are at hand as blobs alone no tar is written: a base is as large as all that is built on it, or larger. */
function splitByBlob(
  state: FormsState,
  entries: readonly ViewEntry[],
): { readonly archives: readonly LayerArchive[]; readonly others: readonly ViewEntry[] } {
  const archives = new Map<string, (LayerArchive & { readonly entries: ViewEntry[] }) | undefined>()
  const others: ViewEntry[] = []
  for (const entry of entries) {
    const { content } = entry
    if (content?.kind !== 'layer') others.push(entry)
    else {
      if (!archives.has(content.layer)) archives.set(content.layer, findArchive(state, content.layer))
      ;(archives.get(content.layer)?.entries ?? others).push(entry)
    }
  }
  return { archives: [...archives.values()].filter((archive) => archive !== undefined), others }
}

function findArchive(state: FormsState, id: string): (LayerArchive & { readonly entries: ViewEntry[] }) | undefined {
  const layer = state.load(id)
  if (findTar(state, layer) !== undefined) return undefined
  const blob = findBlob(state, layer)
  const diffId = state.record(layer)?.diffId
  if (blob === undefined || diffId === undefined) return undefined
  return { file: blob.path, compression: detectFileCompression(blob.path), diffId, entries: [] }
}

function rootOf(directory: string): string {
  return `${directory}/root`
}

/**
 * What a step changes has another ctime than what was there before, once the clock of the file system has gone on: by a tick,
 * or by a second where it counts in seconds.
 */
async function waitForTick({ newest, count }: TreeRecord, signal: AbortSignal): Promise<void> {
  if (count === 0) return
  const isCoarse = newest.nsec === 0
  const newestMs = newest.sec * 1000 + newest.nsec / 1e6
  const waitMs = newestMs + (isCoarse ? 1000 : 0) + TICK_MS - Date.now()
  // A clock that was set back is not waited for.
  if (waitMs > 0) await delay(Math.min(waitMs, 1000 + TICK_MS), undefined, { signal })
}

interface TakenTree extends Pick<WaitingTree, 'temporary'> {
  readonly record: TreeRecord
  readonly keep: (tree: WaitingTree) => void
  readonly viewOf: (chain: readonly LayerHandle[]) => Promise<View>
  readonly makeRoom: () => Promise<void>
}

function workingTree(state: FormsState, { temporary, record, keep, viewOf, makeRoom }: TakenTree): WorkingTree {
  const root = rootOf(temporary.path)
  let isKept = false
  let compared: CompareTreeOutput | undefined
  return {
    path: root,
    changes: async () => {
      const records = recordsOnDisk((await state.executor()).idMapping)
      return (compared = await state.jobs.run('compareTree', { root, before: record, records }, true))
    },
    handOn: async (chain) => {
      if (compared === undefined) throw new Error('a tree is handed on when its changes are known')
      const { linked, after } = compared
      if (linked.length > 0) await state.jobs.run('splitLinks', { root, groups: linked }, true)
      const view = await viewOf(chain)
      isKept = true
      const ids = chain.map((layer) => layer.id)
      keep({ ids, temporary, view, record: linked.length > 0 ? undefined : after })
      await makeRoom()
    },
    [Symbol.asyncDispose]: async () => {
      if (!isKept) await temporary[Symbol.asyncDispose]()
    },
  }
}

/** What lies at a path of a chain, as a file or directory of its own; whoever writes to it writes to nothing else. */
async function copyOf(
  state: FormsState,
  viewOf: (chain: readonly LayerHandle[]) => Promise<View>,
  chain: readonly LayerHandle[],
  path: string,
): Promise<AsyncDisposable & PlainCopy> {
  const view = await viewOf(chain)
  const top = view.lookup(path, { followLast: true })
  const directory = top === undefined || top.type === 'directory' ? (top?.path ?? view.resolve(path)) : undefined
  const temporary = await state.store.createTemporaryDirectory('mount')
  const dispose = (): PromiseLike<void> => temporary[Symbol.asyncDispose]()
  try {
    const attributes = { mode: top?.mode ?? 0o755, uid: 0, gid: 0 }
    const root = rootOf(temporary.path)
    if (directory === undefined) await write(state, temporary.path, [], [{ ...top!, path: 'root' }])
    else {
      await state.jobs.run('makeDirectory', { path: root, ...attributes }, true)
      const cut = directory === '' ? 0 : directory.length + 1
      const below = [...view.walk(directory)].map((entry) => ({ ...entry, path: entry.path.slice(cut) }))
      await write(state, root, [], below)
      // With its owner and times, whatever was made in it.
      if (top !== undefined && top.path !== '') await write(state, temporary.path, [], [{ ...top, path: 'root' }])
    }
    return { path: root, isDirectory: directory !== undefined, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}
