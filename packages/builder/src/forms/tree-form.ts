import { existsSync, lstatSync, readFileSync, renameSync } from 'node:fs'
import type { Executor, IdMapping } from '@ts-oci/runtime'
import type { LayerRecord, TreeForm } from '../content/types.ts'
import { BuilderError } from '../errors.ts'
import type { LayerEntry } from '../layer/types.ts'
import type { Digest } from '../oci/digest.ts'
import { ensureBlob } from './blob-form.ts'
import { detectFileCompression, type ArchiveCompression } from '../layer/decompress.ts'
import { resolveContents } from './contents.ts'
import type { FormsState } from './forms-state.ts'
import { toStored } from './stored-table.ts'
import { tableOf } from './table-form.ts'
import type { LayerHandle } from './types.ts'

/** A layer as a directory in overlay form, for the executor of this build. */
export function treeOf(state: FormsState, layer: LayerHandle): Promise<string> {
  const { store, jobs } = state
  return state.once(`tree ${layer.id}`, async () => {
    const early = await usableTree(state, state.record(layer))
    if (early) return early
    const unpacked = await fetchUnpacked(state, layer)
    if (unpacked) return unpacked
    await using lock = await store.locks.acquire(`tree-${layer.id}`, { signal: state.signal })
    const late = lock && (await usableTree(state, state.record(layer)))
    if (late) return late
    const executor = await state.executor()
    const target = {
      xattrs: executor.overlayXattr,
      owners: executor.idMapping.kind === 'single' ? ('drop' as const) : ('keep' as const),
    }
    await using temporary = await store.createTemporaryDirectory('tree')
    const destination = `${temporary.path}/tree`
    await jobs.run('makeDirectory', { path: destination, mode: 0o755, uid: 0, gid: 0 }, true)
    const directory = store.snapshotDirectory(layer.id)
    const entries = await entriesToWrite(state, layer)
    if (entries) {
      await jobs.run('materialize', { entries: await resolveContents(state, entries), destination, ...target }, true)
      await replaceTree(state, destination, directory)
      if (state.selections.has(layer.id)) store.layers.writeTable(layer.id, toStored(entries))
      recordTree(state, layer, executor, { hasTable: true })
      state.forgetTemporary(layer)
      return directory
    }
    const source = await sourceOf(state, layer)
    const { diffId } = state.requireRecord(layer)
    const extracted = await jobs.run(
      'extract',
      { ...source, destination, ...target, ...(diffId === undefined ? {} : { expectedDiffId: diffId }) },
      true,
    )
    await replaceTree(state, destination, directory)
    if (!store.layers.readTable(layer.id)) store.layers.writeTable(layer.id, toStored(extracted.entries))
    recordTree(state, layer, executor, { diffId: extracted.diffId, tarSizeBytes: extracted.sizeBytes, hasTable: true })
    return directory
  })
}

/** A layer that is fetched for its tree; undefined when it was here before, or could not be unpacked on its way. */
async function fetchUnpacked(state: FormsState, layer: LayerHandle): Promise<string | undefined> {
  const record = state.record(layer)
  if (!state.unpackers.has(layer.id) || record === undefined || record.hasTar || record.blobs.length > 0)
    return undefined
  await ensureBlob(state, layer)
  return usableTree(state, state.record(layer))
}

/** Notes a tree that lies in its place now. It counts only in this boot until {@link markTreesSynced}. */
export function recordTree(
  state: FormsState,
  layer: LayerHandle,
  executor: Executor,
  more: Partial<LayerRecord>,
): void {
  const tree: TreeForm = {
    xattrs: executor.overlayXattr,
    owners: ownersKey(executor.idMapping),
    bootId: readBootId(),
    synced: false,
  }
  state.put(layer, { tree, ...more })
  state.newTrees.add(layer.id)
}

/** After a sync: the trees of this build outlive a crash of the machine. */
export function markTreesSynced(state: FormsState): void {
  state.store.transaction(() => {
    for (const id of state.newTrees) {
      const record = state.store.layers.get(id)
      if (record?.tree) state.store.layers.put({ ...record, tree: { ...record.tree, synced: true } })
    }
  })
  state.newTrees.clear()
}

/**
 * A selection's entries; of a layer that was made here those of its table, since its tar has lost the nanoseconds by which
 * a later step's changes are told. Undefined: the layer is unpacked from what was pulled.
 */
async function entriesToWrite(state: FormsState, layer: LayerHandle): Promise<readonly LayerEntry[] | undefined> {
  const selection = state.selections.get(layer.id)
  if (selection) return selection
  const record = state.record(layer)
  const isPulled =
    record === undefined || record.blobs.some((blob) => blob.origin === 'pulled') || record.remote !== undefined
  return isPulled || !record.hasTar || !record.hasTable ? undefined : (await tableOf(state, layer)).entries
}

async function sourceOf(
  state: FormsState,
  layer: LayerHandle,
): Promise<{ readonly file: string; readonly compression: ArchiveCompression }> {
  const record = state.requireRecord(layer)
  if (record.hasTar && record.diffId !== undefined)
    return { file: state.store.blobs.path(record.diffId as string as Digest), compression: 'none' }
  if (record.tree !== undefined && record.blobs.length === 0 && record.remote === undefined) {
    throw new BuilderError(
      'OCI_STORE_UNUSABLE',
      `the tree of layer ${layer.id} was made by another kind of isolation and nothing else of it is left`,
      { hint: 'build with --no-cache, or prune the cache' },
    )
  }
  const { path } = await ensureBlob(state, layer)
  return { file: path, compression: detectFileCompression(path) }
}

export async function replaceTree(state: FormsState, from: string, to: string): Promise<void> {
  if (existsSync(to)) await state.jobs.run('removeTree', { path: to }, true)
  renameSync(from, to)
}

/** The directory of a row's tree, where this build's executor can mount it. */
export async function usableTree(state: FormsState, record: LayerRecord | undefined): Promise<string | undefined> {
  if (record?.tree === undefined || !isOfThisBoot(record.tree)) return undefined
  const directory = state.store.snapshotDirectory(record.id)
  const { overlayXattr, idMapping } = await state.executor()
  const isOurs = record.tree.xattrs === overlayXattr && record.tree.owners === ownersKey(idMapping)
  // Not a link: what an archive unpacked over the store may point anywhere.
  const isThere = isOurs && lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() === true
  return isThere ? directory : undefined
}

/** Whether a row's tree can be what this process needs, told without starting an executor. */
export function mayUseTree(tree: TreeForm | undefined): boolean {
  if (tree === undefined || !isOfThisBoot(tree)) return false
  const uid = process.getuid?.() ?? 0
  return uid === 0
    ? tree.owners === 'identity'
    : tree.owners === `single:${uid}` || tree.owners.startsWith(`subordinate:${uid}:`)
}

function isOfThisBoot(tree: TreeForm): boolean {
  return tree.synced || tree.bootId === readBootId()
}

let bootId: string | undefined

/** The kernel's boot id: a tree that was not synced counts only until the next boot. */
export function readBootId(): string {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return bootId
}

/** How owners lie on the disk under a mapping: a tree made under one is not read under another. */
export function ownersKey(mapping: IdMapping): string {
  switch (mapping.kind) {
    case 'identity':
      return 'identity'
    case 'subordinate':
      return `subordinate:${mapping.uid}:${mapping.subUidStart}:${mapping.subGidStart}`
    case 'single':
      return `single:${mapping.uid}`
  }
}
