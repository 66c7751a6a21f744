import { closeFd, getXattrs, openResolved, openRoot, OpenFlags, walkTree, type PackedEntries } from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { diffTrees } from '../view/diff.ts'
import { CAPABILITY, makeEntry } from '../view/entry.ts'
import type { WalkUpperInput, WalkUpperOutput } from './job-types.ts'
import { readOwnerRecord, type OwnerRecord, type RecordsOnDisk } from './owner-record.ts'
import { baseName, parentPath } from '../view/paths.ts'
import { editTree, type TreeNode } from '../view/tree.ts'
import type { LayerEntry, View, ViewEntry } from '../view/types.ts'
import { treeOf } from '../view/view.ts'

const ROOT: OwnerRecord = { uid: 0, gid: 0 }

export type UpperEntry = WalkUpperOutput['entries'][number]

/**
 * The upper directory of an overlay as entries: one walk, metadata only. Whiteouts (character device 0/0) and opaque
 * markers are told from files; sockets are left out. Throws OCI_FILE_OP_FAILED for what no step of ours can have made
 * (a redirected directory).
 */
export function walkUpper(input: WalkUpperInput): WalkUpperOutput {
  const root = openRoot(input.upper)
  try {
    const walk = walkTree(root, { xattrs: true, links: true })
    const entries: UpperEntry[] = []
    for (let index = 0; index < walk.length; index++) {
      if (walk.type(index) !== 'socket') entries.push(upperEntry(walk, index, root, input))
    }
    return { entries }
  } finally {
    closeFd(root)
  }
}

function upperEntry(walk: PackedEntries, index: number, root: number, input: WalkUpperInput): UpperEntry {
  const path = walk.path(index)
  const type = walk.type(index)
  if (type === 'character' && walk.rdevMajor(index) === 0 && walk.rdevMinor(index) === 0)
    return makeEntry({ path, type: 'whiteout' })
  const xattrs = walk.hasXattrs(index) ? readXattrs(root, path) : undefined
  if (xattrs?.has('trusted.overlay.redirect') === true || xattrs?.has('user.overlay.redirect') === true) {
    throw new BuilderError(
      'OCI_FILE_OP_FAILED',
      `the directory "${fromByteString(path)}" was moved by the overlay (redirect_dir), which a layer cannot say`,
    )
  }
  const entry = entryOfWalk(walk, index, {
    root: input.upper,
    capability: xattrs?.get(CAPABILITY),
    link: walk.link(index),
    ...recordedFacts(input.records, readOwnerRecord(xattrs)),
  })
  return type === 'directory' && isMarked(xattrs, input) ? { ...entry, isOpaque: true } : entry
}

/** What a walk does not say of an entry: its attributes, the target of a symlink; and the directory that was walked. */
export interface EntryFacts {
  readonly root: string
  readonly capability?: Uint8Array | undefined
  readonly link?: ByteString | undefined
  /** Default: as on the disk. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** It stands for one. */
  readonly device?: OwnerRecord['device']
}

/** What counts of a record. */
export function recordedFacts(
  records: RecordsOnDisk,
  record: OwnerRecord | undefined,
): Pick<EntryFacts, 'owner' | 'device'> {
  return {
    ...(records === 'all' ? { owner: record ?? ROOT } : {}),
    ...(records !== 'none' && record?.device !== undefined ? { device: record.device } : {}),
  }
}

/** An entry of a directory that a step wrote; anything but a socket. */
export function entryOfWalk(walk: PackedEntries, index: number, facts: EntryFacts): UpperEntry {
  const path = walk.path(index)
  const seen = walk.type(index) as Exclude<ReturnType<PackedEntries['type']>, 'socket'>
  const device = seen === 'file' ? facts.device : undefined
  const type = device?.type ?? seen
  const isDevice = type === 'character' || type === 'block'
  const size = type === 'file' ? walk.size(index) : 0
  const entry = makeEntry({
    path,
    type,
    mode: walk.mode(index),
    uid: facts.owner?.uid ?? walk.uid(index),
    gid: facts.owner?.gid ?? walk.gid(index),
    size,
    mtimeSec: walk.mtimeSec(index),
    mtimeNsec: walk.mtimeNsec(index),
    link: type === 'symlink' ? (facts.link ?? '') : undefined,
    devMajor: isDevice ? (device?.major ?? walk.rdevMajor(index)) : undefined,
    devMinor: isDevice ? (device?.minor ?? walk.rdevMinor(index)) : undefined,
    // Of anything but a file it says nothing of capabilities.
    xattrs: facts.capability === undefined || type !== 'file' ? undefined : new Map([[CAPABILITY, facts.capability]]),
    content: size > 0 ? { kind: 'tree', root: facts.root, path } : undefined,
  })
  if (type === 'directory' || walk.nlink(index) <= 1) return entry
  return { ...entry, linkKey: `upper-${walk.dev(index)}-${walk.ino(index)}` }
}

function isMarked(xattrs: ReadonlyMap<string, Buffer> | undefined, input: WalkUpperInput): boolean {
  return xattrs?.get(`${input.xattrs}.overlay.opaque`)?.toString('latin1') === 'y'
}

function readXattrs(root: number, path: ByteString): ReadonlyMap<string, Buffer> {
  const parent = openResolved(root, parentPath(path), OpenFlags.path | OpenFlags.directory, 'beneath')
  try {
    return getXattrs(parent, baseName(path))
  } finally {
    closeFd(parent)
  }
}

export interface DiffUpperOptions {
  readonly upper: WalkUpperOutput
  readonly lower: View
  /** For pairs of files that nothing else tells apart: whether their bytes are equal. */
  readonly compare: (
    pairs: readonly { readonly lower: ViewEntry; readonly upper: ViewEntry }[],
  ) => Promise<readonly boolean[]>
}

/**
 * The layer of a step: its upper directory compared with what lay below, as BuildKit compares (see `diffTrees`).
 */
export async function diffUpper(options: DiffUpperOptions): Promise<LayerEntry[]> {
  const lower = treeOf(options.lower)
  const upper = overlayTree(lower, options.upper.entries)
  const doubts: { readonly lower: ViewEntry; readonly upper: ViewEntry }[] = []
  const assumed = diffTrees(lower, upper, (below, above) => doubts.push({ lower: below, upper: above }) > 0)
  if (doubts.length === 0) return assumed
  const answers = await options.compare(doubts)
  const isSame = new Map(doubts.map((pair, index) => [pair.upper, answers[index] === true]))
  return diffTrees(lower, upper, (_, above) => isSame.get(above) ?? false)
}

/** What the overlay showed when the step ended. */
function overlayTree(lower: TreeNode, entries: readonly UpperEntry[]): TreeNode {
  const edit = editTree(lower)
  for (const { isOpaque, ...entry } of entries) {
    if (entry.type === 'whiteout') {
      if (edit.node(entry.path) !== undefined) edit.remove(entry.path)
      continue
    }
    edit.put(entry)
    if (isOpaque === true) edit.clear(entry.path)
  }
  return edit.snapshot()
}
