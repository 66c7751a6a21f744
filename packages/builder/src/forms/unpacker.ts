import type { FormsState, Unpacker } from './forms-state.ts'
import { findTree } from './at-hand.ts'
import { noteTree, replaceTree, treeForm } from './tree-form.ts'
import type { LayerHandle } from './types.ts'

/**
 * Has a layer unpacked while it is fetched, so that it is inflated once and the disk works while the network does. Only
 * as root: else files of foreign owners are not for this process.
 */
export function unpackWhileFetching(state: FormsState, layer: LayerHandle): void {
  if (process.getuid?.() === 0) state.unpackers.set(layer.id, () => createUnpacker(state, layer))
}

async function createUnpacker(state: FormsState, layer: LayerHandle): Promise<Unpacker> {
  const { store } = state
  const executor = await state.executor()
  const [{ createExtraction }, { createInflatingSink }] = await Promise.all([
    import('../layer/extract.ts'),
    import('./table-sink.ts'),
  ])
  const temporary = await store.createTemporaryDirectory('tree')
  const destination = `${temporary.path}/tree`
  await state.jobs.run('makeDirectory', { path: destination, mode: 0o755, uid: 0, gid: 0 }, true)
  const extraction = createExtraction({
    destination,
    xattrs: executor.overlayXattr,
    owners: executor.idMapping.kind === 'single' ? 'drop' : 'keep',
  })
  return {
    sink: createInflatingSink(extraction),
    keep: async () => {
      // The blob's lock is held: a second one is only tried. Who has it makes the same tree.
      await using lock = store.locks.tryHoldAll('layer', [{ name: `tree-${layer.id}` }])
      if (lock === undefined || (await findTree(state, state.record(layer))) !== undefined) return
      await replaceTree(state, destination, store.snapshotDirectory(layer.id))
      state.put(layer, { tree: treeForm(executor) })
      noteTree(state, layer)
    },
    [Symbol.asyncDispose]: async () => {
      extraction.close()
      await temporary[Symbol.asyncDispose]()
    },
  }
}
