import { mkdirSync, renameSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { localPath, type Executor, type StepRoot } from '@ts-oci/runtime'
import { recordsOnDisk } from '../../disk/owner-record.ts'
import { treeKind } from '../../layers/tree-owners.ts'
import type { LayerFacts, LayerHandle, WorkingTree } from '../../layers/types.ts'
import type { LayerEntry } from '../../view/types.ts'
import type { OpsEnvironment } from '../environment.ts'
import { collectChanges } from './changes.ts'
import { makeLeftBehind } from './stubs.ts'

export type SnapshotParts = Pick<OpsEnvironment, 'store' | 'forms' | 'jobs'>

/** What a step writes into, and the layer that comes of it; disposed of without `commit` nothing of it is kept. */
export interface StepSnapshot extends AsyncDisposable {
  readonly root: StepRoot
  /** A directory for what else the step needs while it runs. */
  readonly temporary: string
  /** Bytes of a file of the chain, read where they are at hand: nothing is written for it. */
  readFile(entry: LayerEntry, maxBytes: number): Promise<Uint8Array>
  /** `entriesOf` makes the layer's entries of what changed. */
  commit(facts: LayerFacts, entriesOf: (changes: readonly LayerEntry[]) => readonly LayerEntry[]): Promise<LayerHandle>
}

/** The file system of a chain for one step: an overlay over its trees, or where that is refused a working tree. */
export async function openSnapshot(
  environment: SnapshotParts,
  executor: Executor,
  chain: readonly LayerHandle[],
): Promise<StepSnapshot> {
  return (await environment.forms.usesOverlay())
    ? openOverlay(environment, executor, chain)
    : openWorkingTree(environment, executor, chain)
}

async function openOverlay(
  environment: SnapshotParts,
  executor: Executor,
  chain: readonly LayerHandle[],
): Promise<StepSnapshot> {
  const { store, forms, jobs } = environment
  const lowers = await forms.overlayTrees(chain)
  const view = await forms.view(chain)
  const temporary = await store.createTreeDirectory('step', executor)
  const upper = join(temporary.path, 'upper')
  const work = join(temporary.path, 'work')
  for (const path of [upper, work]) mkdirSync(localPath(path), { mode: 0o755 })
  await makeLeftBehind(view, upper, jobs)
  let isKept = false
  return {
    root: { kind: 'overlay', lowers, upper, work },
    temporary: temporary.path,
    readFile: (entry, maxBytes) => forms.readFile(entry, maxBytes),
    commit: async (facts, entriesOf) => {
      const records = recordsOnDisk(executor.idMapping)
      // Before anything is read of it: what found no room beneath is not what the step wrote.
      store.syncImage()
      const written = await jobs.run('walkUpper', { upper, xattrs: executor.overlayXattr, records }, true)
      const entries = entriesOf(await collectChanges(environment, executor, written, view))
      const id = `l-${randomBytes(16).toString('hex')}`
      // Before it is there: a prune looks at leases, and clocks may be set back.
      store.lease(id)
      renameSync(localPath(upper), localPath(store.snapshotDirectory(id, treeKind(executor))))
      isKept = true
      return forms.fromTree(id, entries, facts)
    },
    // What a step leaves is removed while the next one runs.
    [Symbol.asyncDispose]: async () => {
      const remove = (): Promise<void> => Promise.resolve(temporary[Symbol.asyncDispose]())
      if (isKept) store.whileIdle(remove)
      else await remove()
    },
  }
}

async function openWorkingTree(
  environment: SnapshotParts,
  executor: Executor,
  chain: readonly LayerHandle[],
): Promise<StepSnapshot> {
  const { store, forms } = environment
  const view = await forms.view(chain)
  const temporary = await store.createTemporaryDirectory('step')
  let taken: WorkingTree | undefined
  try {
    taken = await forms.workingTrees.take(chain)
    // What is made from here on is the step's doing.
    await makeLeftBehind(view, taken.path, environment.jobs)
  } catch (error) {
    await disposeBoth(taken, temporary)
    throw error
  }
  const tree = taken
  return {
    root: { kind: 'directory', path: tree.path },
    temporary: temporary.path,
    // From the tree: the bytes of a layer that was pulled would be inflated to a tar for it.
    readFile: async ({ path, size }, maxBytes) =>
      size === 0
        ? new Uint8Array()
        : environment.jobs.run('readFile', { source: { kind: 'tree', root: tree.path, path }, size, maxBytes }, true),
    commit: async (facts, entriesOf) => {
      const entries = entriesOf(await collectChanges(environment, executor, await tree.changes(), view))
      const layer = forms.fromSelection(entries, facts)
      // The next step changes the tree: what this one wrote is in the store before.
      await forms.tar(layer)
      await tree.handOn([...chain, layer])
      return layer
    },
    [Symbol.asyncDispose]: () => disposeBoth(tree, temporary),
  }
}

async function disposeBoth(tree: WorkingTree | undefined, temporary: AsyncDisposable): Promise<void> {
  await tree?.[Symbol.asyncDispose]()
  await temporary[Symbol.asyncDispose]()
}
