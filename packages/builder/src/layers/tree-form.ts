import { existsSync, renameSync } from 'node:fs'
import { bootId } from '../base/boot-id.ts'
import { localPath, type Executor } from '@ts-oci/runtime'
import type { TreeForm } from '../store/types.ts'
import type { LayerEntry } from '../view/types.ts'
import type { Digest } from '../oci/digest.ts'
import { findBlob, findTable, findTar } from './at-hand.ts'
import { detectFileCompression, type ArchiveCompression } from '../tar/decompress.ts'
import { resolveContents } from './contents.ts'
import { isPulled, type Conversion, type Made, type FormsState } from './conversion.ts'
import { missingForm } from './missing-form.ts'
import { tableOf } from './form-of.ts'
import { ownersOnDisk, type OwnersOnDisk } from '../disk/owner-record.ts'
import { treeKind } from './tree-owners.ts'
import { witnessesOf } from './tree-witnesses.ts'
import type { LayerHandle } from './types.ts'

/** entries that nobody has written yet → tree. */
export const materializeSelection: Pick<Conversion, 'prepare' | 'convert'> = {
  prepare: (state, layer) => resolveContents(state, state.selections.get(layer.id) ?? [], layer.id),
  convert: async (state, layer, entries) => ({ ...(await materialize(state, layer, entries)), entries }),
}

/**
 * tar → tree of a layer that was made here: by its table, since a tar has lost the nanoseconds by which a later step's
 * changes are told.
 */
export const materializeTar: Pick<Conversion, 'applies' | 'prepare' | 'convert'> = {
  applies: (state, layer) => !isPulled(state, layer) && state.record(layer)?.hasTable === true,
  prepare: async (state, layer) => resolveContents(state, (await tableOf(state, layer)).entries, layer.id),
  convert: (state, layer, entries) => materialize(state, layer, entries),
}

/** tar → tree. */
export const extractTar: Pick<Conversion, 'convert'> = {
  convert: async (state, layer) => {
    const tar = findTar(state, layer)
    if (tar === undefined) throw missingForm(layer.id, `the tar of layer ${layer.id} is not in the store`)
    const file = state.store.blobs.path(tar.diffId as string as Digest)
    return extract(state, layer, { file, compression: 'none', sizeBytes: tar.sizeBytes })
  },
}

/** blob → tree. */
export const extractBlob: Pick<Conversion, 'convert'> = {
  convert: async (state, layer) => {
    const blob = findBlob(state, layer)
    if (blob === undefined) throw missingForm(layer.id, `the blob of layer ${layer.id} is not in the store`)
    const compression = detectFileCompression(blob.path)
    return extract(state, layer, { file: blob.path, compression, sizeBytes: blob.descriptor.size })
  },
}

async function materialize(state: FormsState, layer: LayerHandle, entries: readonly LayerEntry[]): Promise<Made> {
  const executor = await state.executor()
  await using draft = await draftTree(state, executor)
  const { destination } = draft
  await state.jobs.run('materialize', { entries, destination, ...targetFor(executor) }, true)
  const directory = state.store.snapshotDirectory(layer.id, treeKind(executor))
  await replaceTree(state, destination, directory)
  return { forms: { trees: [treeForm(executor, directory, entries)] } }
}

async function extract(
  state: FormsState,
  layer: LayerHandle,
  source: { readonly file: string; readonly compression: ArchiveCompression; readonly sizeBytes: number },
): Promise<Made> {
  const executor = await state.executor()
  await using draft = await draftTree(state, executor)
  const { destination } = draft
  const { diffId } = state.requireRecord(layer)
  const expected = diffId === undefined ? {} : { expectedDiffId: diffId }
  const extracted = await state.jobs.run(
    'extract',
    { ...source, destination, ...targetFor(executor), ...expected },
    true,
  )
  const directory = state.store.snapshotDirectory(layer.id, treeKind(executor))
  await replaceTree(state, destination, directory)
  const isKnown = findTable(state, layer) !== undefined
  return {
    ...(isKnown ? {} : { entries: extracted.entries }),
    forms: {
      trees: [treeForm(executor, directory, extracted.entries)],
      diffId: extracted.diffId,
      tarSizeBytes: extracted.sizeBytes,
    },
  }
}

/** A directory to write a tree in: nobody sees it before it is whole. */
async function draftTree(
  state: FormsState,
  executor: Executor,
): Promise<AsyncDisposable & { readonly destination: string }> {
  const temporary = await state.store.createTreeDirectory('tree', executor)
  const destination = `${temporary.path}/tree`
  await state.jobs.run('makeDirectory', { path: destination, mode: 0o755, uid: 0, gid: 0 }, true)
  return { destination, [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose]() }
}

function targetFor({ overlayXattr, idMapping }: Executor): {
  readonly xattrs: Executor['overlayXattr']
  readonly owners: OwnersOnDisk
} {
  return { xattrs: overlayXattr, owners: ownersOnDisk(idMapping) }
}

/** What a row says of a finished tree that this executor made. It counts only in this boot until the store is synced. */
export function treeForm(executor: Executor, directory: string, entries: readonly LayerEntry[]): TreeForm {
  return { ...treeKind(executor), bootId: bootId(), synced: false, witnesses: witnessesOf(directory, entries) }
}

/** What lies there was never finished, is of another boot or was damaged: nobody has it mounted. */
export async function replaceTree(state: FormsState, from: string, to: string): Promise<void> {
  if (existsSync(localPath(to))) await state.jobs.run('removeTree', { path: to }, true)
  state.store.syncImage()
  renameSync(localPath(from), localPath(to))
}
