import { join } from 'node:path'
import type { LayerEntry } from '../view/types.ts'
import type { FormsState, LayerFormsOptions } from './conversion.ts'
import { missingForm } from './missing-form.ts'
import { mayUseTree, treeKind, usesTree } from './tree-owners.ts'
import type { TreeKind } from '../store/types.ts'
import type { LayerHandle } from './types.ts'

/** The layers of one build, none known yet. `conversions`: from where the resolver takes its ways. */
export function createFormsState(options: LayerFormsOptions, conversions: FormsState['conversions']): FormsState {
  const { store } = options
  const handles = new Map<string, LayerHandle>()
  const selections = new Map<string, readonly LayerEntry[]>()
  const pending = new Map<string, Promise<unknown>>()
  const underWay = new Map<string, Promise<unknown>>()
  let kind: TreeKind | undefined

  const handleOf: FormsState['handleOf'] = ({ id, createdMs, description }, { progressVertex } = {}) => {
    let handle = handles.get(id)
    if (handle === undefined) {
      store.lease(id)
      // Layers that were pulled have their diffID as id; whatever a build made has one of its own.
      handle = { id, createdMs, description, progressVertex, isForeign: id.startsWith('sha256:') }
      handles.set(id, handle)
    }
    return handle
  }

  const forgetSelection = (layer: LayerHandle): void => {
    selections.delete(layer.id)
    pending.delete(`table ${layer.id}`)
  }

  return {
    ...options,
    conversions,
    executor: async () => {
      const executor = await options.executor()
      kind = treeKind(executor)
      return executor
    },
    // Without an executor it is a guess, which costs nothing; a layer that is lost by a wrong one is asked about again here.
    canUse: (tree) => (kind === undefined ? mayUseTree(tree, options.isolation ?? 'auto') : usesTree(tree, kind)),
    selections,
    unpackers: new Map(),
    newTrees: new Set(),
    wholeTrees: new Map(),
    handleOf,
    once: <T>(key: string, work: () => Promise<T>): Promise<T> => {
      let promise = pending.get(key) as Promise<T> | undefined
      if (promise === undefined) {
        promise = work()
        pending.set(key, promise)
        promise.catch(() => pending.delete(key))
      }
      return promise
    },
    shared: <T>(key: string, work: () => Promise<T>): Promise<T> => {
      const known = underWay.get(key) as Promise<T> | undefined
      if (known !== undefined) return known
      const promise = work().finally(() => underWay.delete(key))
      underWay.set(key, promise)
      return promise
    },
    load: (id, progressVertex) => {
      const known = handles.get(id)
      if (known) return known
      store.lease(id)
      const record = store.layers.get(id)
      if (record === undefined) throw missingForm(id, `layer ${id} is not in the store`)
      return handleOf(record, { progressVertex })
    },
    record: (layer) => store.layers.get(layer.id),
    requireRecord: (layer) => {
      const record = store.layers.get(layer.id)
      if (record === undefined)
        throw missingForm(layer.id, `layer ${layer.id} (${layer.description}) is not in the store`)
      return record
    },
    put: (layer, forms) =>
      store.layers.put({
        id: layer.id,
        createdMs: layer.createdMs,
        description: layer.description,
        blobs: [],
        hasTar: false,
        hasTable: false,
        ...forms,
      }),
    forgetSelection,
    forgetTemporary: (layer) => {
      const temporary = join(store.root, 'tmp', '/')
      const isTemporary = selections
        .get(layer.id)
        ?.some(({ content }) =>
          (content?.kind === 'range' ? content.file : content?.kind === 'tree' ? content.root : '').startsWith(
            temporary,
          ),
        )
      if (isTemporary === true) forgetSelection(layer)
    },
  }
}
