import { bootId } from '../base/boot-id.ts'
import type { Executor, ExecutorOptions, IdMapping } from '@ts-oci/runtime'
import type { TreeForm, TreeKind } from '../store/types.ts'

/** Trees of users have a base's devices, as records, since rows say so: one of before is made anew from its layer. */
const WITH_DEVICES = 'devices'

/** Whether a row's tree can be what this process needs, told without starting an executor. */
export function mayUseTree(tree: TreeForm, isolation: ExecutorOptions['isolation']): boolean {
  if (!isOfThisBoot(tree)) return false
  const uid = process.getuid?.() ?? 0
  // Root may get either: in a container that gives it no namespaces it has a user namespace, as others.
  if (tree.owners === 'identity') return uid === 0 && isolation !== 'rootless'
  if (!tree.owners.startsWith('recorded:') && !tree.owners.endsWith(`:${WITH_DEVICES}`)) return false
  if (tree.owners.startsWith('shifted:')) return uid === 0 && isolation !== 'namespace'
  const isMapped = tree.owners === `recorded:${uid}` || tree.owners.startsWith(`subordinate:${uid}:`)
  return isMapped && isolation !== 'namespace'
}

/** Whether an executor that mounts this kind can mount a row's tree. */
export function usesTree(tree: TreeForm, kind: TreeKind): boolean {
  return tree.xattrs === kind.xattrs && tree.owners === kind.owners && tree.image === kind.image && isOfThisBoot(tree)
}

function isOfThisBoot(tree: TreeForm): boolean {
  return tree.synced || tree.bootId === bootId()
}

/** What kind of tree an executor mounts. */
export function treeKind({
  overlayXattr,
  idMapping,
  image,
}: Pick<Executor, 'overlayXattr' | 'idMapping' | 'image'>): TreeKind {
  return { xattrs: overlayXattr, owners: ownersKey(idMapping), ...(image === undefined ? {} : { image }) }
}

/** How owners lie on the disk under a mapping: a tree made under one is not read under another. */
function ownersKey(mapping: IdMapping): string {
  switch (mapping.kind) {
    case 'identity':
      return 'identity'
    case 'subordinate':
      return `subordinate:${mapping.uid}:${mapping.subUidStart}:${mapping.subGidStart}:${WITH_DEVICES}`
    case 'shifted':
      return `shifted:${mapping.uidStart}:${mapping.gidStart}:${WITH_DEVICES}`
    case 'single':
      return `recorded:${mapping.uid}`
  }
}
