import { BuilderError } from '../base/errors.ts'
import { loadOnce } from '../base/load-once.ts'
import type { LayerEntry, View } from '../view/types.ts'
import { createChainViews } from '../view/view.ts'
import { findBlob, findTar, isStored } from './at-hand.ts'
import { compressedBlob } from './compressed-blob.ts'
import { resolveContents } from './contents.ts'
import { isPulled, type FormsState, type LayerFormsOptions } from './conversion.ts'
import { createFormsState } from './forms-state.ts'
import { forgetLostTrees, overlayTrees } from './overlay-trees.ts'
import { missingForm } from './missing-form.ts'
import { toStored } from './stored-table.ts'
import { tableOf, tarOf, treeOf } from './form-of.ts'
import { ensureForm, makeOnce } from './resolver.ts'
import { withTimesUpTo } from './rewrite.ts'
import { fromSelection } from './selection.ts'
import { treeForm } from './tree-form.ts'
import { treeKind } from './tree-owners.ts'
import { unpackWhileFetching } from './unpacker.ts'
import { imageBlob, noteBlob } from './image-blob.ts'
import type { LayerForms, LayerHandle, WorkingTrees } from './types.ts'
import { usesOverlay } from './snapshot-kind.ts'
import { createWorkingTrees } from './working-trees.ts'
import type { ImageLayer } from '../oci/types.ts'

const loadConversions = loadOnce(() => import('./conversions.ts'))

/**
 * Layers of one build over the rows of a store. Each conversion happens once, in this process and across processes.
 * One file beside this for each form: blob, table, tree, tar.
 */
export function createLayerForms(options: LayerFormsOptions): LayerForms {
  const state = createFormsState(options, async () => (await loadConversions()).CONVERSIONS)
  const views = new Map<string, Promise<View>>()
  const merge = createChainViews()
  const viewOf = (chain: readonly LayerHandle[]): Promise<View> => {
    const key = chain.map((layer) => layer.id).join('/')
    let view = views.get(key)
    if (view === undefined) {
      view = Promise.all(chain.map((layer) => tableOf(state, layer))).then(merge)
      views.set(key, view)
      view.catch(() => views.delete(key))
    }
    return view
  }
  let workingTrees: WorkingTrees | undefined
  // What this build has leased stays; and who finds a record whose files are gone all the same makes them again.
  const persistent = new Set<string>()
  return {
    load: state.load,
    fromSelection: (entries, facts) => fromSelection(state, entries, facts),
    fromTree: async (id, entries, facts) => {
      const layer = state.handleOf({ id, ...facts })
      state.store.layers.writeTable(id, toStored(entries))
      const executor = await state.executor()
      const directory = state.store.snapshotDirectory(id, treeKind(executor))
      state.put(layer, { trees: [treeForm(executor, directory, entries)], hasTable: true })
      state.newTrees.add(layer.id)
      state.wholeTrees.set(layer.id, directory)
      persistent.add(layer.id)
      return layer
    },
    fromImage: (layers, reference, progressVertex, needsTree) =>
      layers.map((layer) => imageLayer(state, layer, { reference, progressVertex, needsTree: needsTree ?? false })),
    withTimesUpTo: (layer, limitSec) => withTimesUpTo(state, layer, limitSec),
    table: (layer) => tableOf(state, layer),
    view: viewOf,
    tree: (layer) => treeOf(state, layer),
    overlayTrees: (chain) => overlayTrees(state, chain, viewOf),
    forgetLostTrees: () => forgetLostTrees(state),
    usesOverlay: () => usesOverlay(state),
    forStep: (layer) => makeForStep(state, layer),
    get workingTrees() {
      return (workingTrees ??= createWorkingTrees(state, viewOf))
    },
    tar: (layer) => tarOf(state, layer),
    blob: (layer, want) =>
      compressedBlob({
        store: state.store,
        layer,
        want,
        record: () => state.record(layer),
        ensureBlob: async () => {
          await ensureForm(state, layer, 'blob')
          const blob = findBlob(state, layer)
          if (blob === undefined) throw missingForm(layer.id, `the blob of layer ${layer.id} is not in the store`)
          return blob
        },
        tar: () => tarOf(state, layer),
        put: (forms) => state.put(layer, forms),
        makeOnce: (target, find, make) => makeOnce(state, layer, target, find, make),
        signal: state.signal,
      }),
    imageBlob: (layer, image, reference) => imageBlob(state, layer, image, reference),
    readFile: (entry, maxBytes) => readFile(state, entry, maxBytes),
    resolveContents: (entries) => resolveContents(state, entries),
    isPersistent: (layer) => {
      const isKnown = persistent.has(layer.id)
      const isNow = isKnown || isStored(state, layer, () => true)
      if (isNow && !isKnown) persistent.add(layer.id)
      return isNow
    },
    hasContent: (layer) => isStored(state, layer, state.canUse),
    record: state.record,
    syncTrees: () => {
      if (state.newTrees.size === 0) return
      state.store.sync()
      state.newTrees.clear()
    },
  }
}

async function readFile(state: FormsState, entry: LayerEntry, maxBytes: number): Promise<Uint8Array> {
  if (entry.size === 0) return new Uint8Array()
  const [resolved] = await resolveContents(state, [entry])
  const content = resolved?.content
  if (content === undefined)
    throw new BuilderError('OCI_BLOB_NOT_FOUND', `the bytes of ${JSON.stringify(entry.path)} are not at hand`)
  return state.jobs.run('readFile', { source: content, size: entry.size, maxBytes }, content.kind === 'tree')
}

async function makeForStep(state: FormsState, layer: LayerHandle): Promise<void> {
  if (await usesOverlay(state)) await treeOf(state, layer)
  else if (findTar(state, layer) !== undefined) return
  else if (isPulled(state, layer)) await ensureForm(state, layer, 'blob')
  else await tarOf(state, layer)
}

/** A layer of an image whose manifest is in the store; nothing is fetched. */
function imageLayer(
  state: FormsState,
  { descriptor, diffId, createdMs = 0 }: ImageLayer,
  facts: {
    readonly reference: string | undefined
    readonly progressVertex: string | undefined
    readonly needsTree: boolean
  },
): LayerHandle {
  const { reference, progressVertex, needsTree } = facts
  // An image that was built here brings its layers along under the ids that they have.
  const built = state.store.layers.findByDiffId(diffId)
  const named = {
    id: built?.id ?? diffId,
    createdMs: built?.createdMs ?? createdMs,
    // BuildKit's words: they are the history of an image that brings none.
    description: built?.description ?? `pulled from ${reference ?? 'image'}`,
  }
  const layer = state.handleOf(named, { progressVertex })
  if (needsTree) unpackWhileFetching(state, layer)
  noteBlob(state, layer, { descriptor, diffId }, reference)
  return layer
}
