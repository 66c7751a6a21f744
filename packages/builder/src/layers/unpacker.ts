import type { TreeStream } from '@ts-oci/runtime'
import type { Extraction } from '../disk/extract.ts'
import type { FormsState, Unpacker } from './conversion.ts'
import { ownersOnDisk } from '../disk/owner-record.ts'
import { findTree } from './at-hand.ts'
import { replaceTree, treeForm } from './tree-form.ts'
import { usesOverlay } from './snapshot-kind.ts'
import { treeKind } from './tree-owners.ts'
import type { createInflatingSink, TableSink } from './table-sink.ts'
import type { LayerEntry } from '../view/types.ts'
import type { LayerHandle } from './types.ts'

/** Has a layer unpacked while it is fetched, so that it is inflated once and the disk works while the network does. */
export function unpackWhileFetching(state: FormsState, layer: LayerHandle): void {
  state.unpackers.set(layer.id, () => createUnpacker(state, layer))
}

/**
 * The bytes are inflated, hashed and read here, beside the network; what is to be written goes on to a process that is
 * confined to the new tree (`Executor.writeTree`), on another core.
 */
async function createUnpacker(state: FormsState, layer: LayerHandle): Promise<Unpacker | undefined> {
  if (!(await usesOverlay(state))) return undefined
  const { store } = state
  const executor = await state.executor()
  // At first need: it costs a cached build milliseconds.
  const [{ createExtraction }, { createInflatingSink }] = await Promise.all([
    import('../disk/extract.ts'),
    import('./table-sink.ts'),
  ])
  const temporary = await store.createTreeDirectory('tree', executor)
  const tree = executor.writeTree(temporary.path)
  let unpacked: readonly LayerEntry[] = []
  const sink = createTreeSink(
    tree,
    createExtraction(tree, {
      xattrs: executor.overlayXattr,
      owners: ownersOnDisk(executor.idMapping),
    }),
    createInflatingSink,
  )
  return {
    sink: { ...sink, finish: async (expected) => (unpacked = await sink.finish(expected)) },
    keep: async () => {
      // The blob's lock is held: a second one is only tried. Who has it makes the same tree.
      await using lock = store.locks.tryHoldAll('layer', [{ name: `tree-${layer.id}` }])
      if (lock === undefined || (await findTree(state, state.record(layer))) !== undefined) return
      const directory = store.snapshotDirectory(layer.id, treeKind(executor))
      await replaceTree(state, `${temporary.path}/tree`, directory)
      state.put(layer, { trees: [treeForm(executor, directory, unpacked)] })
      state.newTrees.add(layer.id)
    },
    [Symbol.asyncDispose]: async () => {
      await tree[Symbol.asyncDispose]()
      await temporary[Symbol.asyncDispose]()
    },
  }
}

/** Makes table and diffID of a blob, and a tree. */
function createTreeSink(tree: TreeStream, extraction: Extraction, inflating: typeof createInflatingSink): TableSink {
  const sink = inflating({
    push: (chunk) => {
      extraction.push(chunk)
      return tree.drained()
    },
    finish: () => extraction.finish(),
  })
  return {
    ...sink,
    finish: async (expected) => {
      const entries = await sink.finish(expected)
      await tree.finish()
      return entries
    },
  }
}
