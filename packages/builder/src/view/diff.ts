import type { ByteString } from '../base/byte-string.ts'
import { CAPABILITY, makeEntry } from './entry.ts'
import { sortedChildren, type TreeNode } from './tree.ts'
import type { LayerEntry, ViewEntry } from './types.ts'

/** Says whether two files hold the same bytes; asked only when nothing else tells. */
export type SameContent = (lower: ViewEntry, upper: ViewEntry) => boolean

/**
 * The layer that turns `lower` into `upper`, as BuildKit writes it: an entry that equals the one below is left out, a
 * vanished name is one whiteout (never an opaque marker), the parents of a change come along, and of several names of
 * one file the first carries the data. Sorted; the root is never part of it. Directories of which only the time is new
 * come with it for views (`isTimeOnly`).
 */
export function diffTrees(lower: TreeNode, upper: TreeNode, isSameContent: SameContent): LayerEntry[] {
  return new TreeDiff(isSameContent).between(lower, upper)
}

class TreeDiff {
  private readonly isSameContent: SameContent
  private readonly changes: LayerEntry[] = []
  /** By link key: the name that carries the data, and where it stands; a name that did not change. */
  private readonly firstNames = new Map<string, ByteString>()
  private readonly firstChanges = new Map<string, number>()
  private readonly unchangedNames = new Map<string, ByteString>()
  /** Changes that a tar holds. */
  private packed = 0

  constructor(isSameContent: SameContent) {
    this.isSameContent = isSameContent
  }

  between(lower: TreeNode, upper: TreeNode): LayerEntry[] {
    this.diffDirectory(lower, upper)
    for (const [linkKey, sameFileAs] of this.unchangedNames) {
      const index = this.firstChanges.get(linkKey)
      if (index !== undefined) this.changes[index] = makeEntry({ ...this.changes[index]!, sameFileAs })
    }
    return this.changes
  }

  private diffDirectory(below: TreeNode | undefined, above: TreeNode): void {
    const lowers = below === undefined ? [] : sortedChildren(below)
    const uppers = sortedChildren(above)
    let i = 0
    let j = 0
    while (i < lowers.length || j < uppers.length) {
      const order = compareNames(lowers[i], uppers[j])
      if (order < 0) this.add(makeEntry({ path: lowers[i]!.entry.path, type: 'whiteout' }))
      else this.diffNode(order === 0 ? lowers[i] : undefined, uppers[j]!)
      if (order <= 0) i++
      if (order >= 0) j++
    }
  }

  private diffNode(below: TreeNode | undefined, above: TreeNode): void {
    if (below === above) return
    const isChanged = below === undefined || !isSameEntry(below.entry, above.entry, this.isSameContent)
    if (above.children === undefined) {
      if (isChanged) this.addFile(above.entry)
      else if (above.entry.linkKey !== undefined) this.unchangedNames.set(above.entry.linkKey, above.entry.path)
      return
    }
    const at = this.changes.length
    const before = this.packed
    this.add(toLayerEntry(above.entry))
    this.diffDirectory(below?.children === undefined ? undefined : below, above)
    // A directory that only stands above changes is their parent; with none below it, it is not in the layer.
    if (isChanged || this.packed > before + 1) return
    this.packed--
    if (isSameTime(below.entry, above.entry)) this.changes.splice(at, 1)
    else this.changes[at] = makeEntry({ ...this.changes[at]!, isTimeOnly: true })
  }

  private add(entry: LayerEntry): void {
    this.changes.push(entry)
    this.packed++
  }

  private addFile(entry: ViewEntry): void {
    const first = entry.linkKey === undefined ? undefined : this.firstNames.get(entry.linkKey)
    if (first !== undefined) {
      this.add({
        ...toLayerEntry(entry),
        type: 'hardlink',
        size: 0,
        link: first,
        content: undefined,
        contentDigest: undefined,
      } as unknown as LayerEntry)
      return
    }
    if (entry.linkKey !== undefined) {
      this.firstNames.set(entry.linkKey, entry.path)
      this.firstChanges.set(entry.linkKey, this.changes.length)
    }
    this.add(toLayerEntry(entry))
  }
}

function compareNames(lower: TreeNode | undefined, upper: TreeNode | undefined): number {
  if (lower === undefined) return 1
  if (upper === undefined) return -1
  // Siblings: their paths order as their names do.
  const a = lower.entry.path
  const b = upper.entry.path
  return a === b ? 0 : a < b ? -1 : 1
}

/**
 * Equal for a layer (BuildKit's overlay differ): type, mode, owner, device and capabilities; of all but directories
 * also size and mtime, and when both times are whole seconds, as tars have them, the target or the content.
 */
function isSameEntry(lower: ViewEntry, upper: ViewEntry, isSameContent: SameContent): boolean {
  if (lower === upper) return true
  if (lower.type !== upper.type || lower.mode !== upper.mode || lower.uid !== upper.uid || lower.gid !== upper.gid)
    return false
  if ((lower.devMajor ?? 0) !== (upper.devMajor ?? 0) || (lower.devMinor ?? 0) !== (upper.devMinor ?? 0)) return false
  if (!isSameBytes(lower.xattrs?.get(CAPABILITY), upper.xattrs?.get(CAPABILITY))) return false
  if (lower.type === 'directory') return true
  if (lower.size !== upper.size || lower.mtimeSec !== upper.mtimeSec || lower.mtimeNsec !== upper.mtimeNsec)
    return false
  if (lower.type === 'symlink')
    return lower.link!.length === upper.link!.length && (lower.mtimeNsec !== 0 || lower.link === upper.link)
  if (lower.mtimeNsec !== 0 || lower.type !== 'file' || lower.size === 0) return true
  if (lower.contentDigest !== undefined && upper.contentDigest !== undefined)
    return lower.contentDigest === upper.contentDigest
  return isSameContent(lower, upper)
}

function isSameTime(a: LayerEntry, b: LayerEntry): boolean {
  return a.mtimeSec === b.mtimeSec && a.mtimeNsec === b.mtimeNsec
}

function isSameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return Buffer.compare(a, b) === 0
}

/** What a layer of ours carries of a view's entry: no key of hard links, and no attribute but capabilities. */
function toLayerEntry(entry: ViewEntry): LayerEntry {
  if (entry.xattrs === undefined && entry.linkKey === undefined) return entry
  const capability = entry.xattrs?.get(CAPABILITY)
  return makeEntry({ ...entry, xattrs: capability === undefined ? undefined : new Map([[CAPABILITY, capability]]) })
}
