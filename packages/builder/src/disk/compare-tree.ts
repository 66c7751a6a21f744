import {
  closeFd,
  copyContent,
  createDirectoryCache,
  FINGERPRINT_WORDS,
  getXattr,
  getXattrs,
  openAt,
  OpenFlags,
  openRoot,
  readlinkAt,
  statAt,
  statFd,
  walkTree,
  type DirectoryCache,
  type PackedEntries,
} from '@ts-oci/runtime'
import type { ByteString } from '../base/byte-string.ts'
import { CAPABILITY, makeEntry } from '../view/entry.ts'
import { parentPath } from '../view/paths.ts'
import type { CompareTreeInput, CompareTreeOutput, SplitLinksInput, TreeRecord } from './job-types.ts'
import { createLocalTree } from './local-tree.ts'
import { readOwnerRecord } from './owner-record.ts'
import { entryOfWalk, recordedFacts, type UpperEntry } from './upper.ts'

/** In a fingerprint: device and inode are its last words. */
const INODE_WORD = FINGERPRINT_WORDS - 4
const NO_NAME = '\0'

/** What a directory holds, by which a later comparison tells what was changed. */
export function recordTree({ root }: { readonly root: string }): TreeRecord {
  const fd = openRoot(root)
  try {
    return recordOf(walkTree(fd))
  } finally {
    closeFd(fd)
  }
}

function recordOf(walk: PackedEntries): TreeRecord {
  const paths: ByteString[] = []
  const fingerprints = new Uint32Array(walk.length * FINGERPRINT_WORDS)
  let newest = { sec: 0, nsec: 0 }
  for (let index = 0; index < walk.length; index++) {
    paths.push(walk.path(index))
    walk.copyFingerprint(index, fingerprints, index * FINGERPRINT_WORDS)
    const sec = walk.ctimeSec(index)
    if (sec > newest.sec || (sec === newest.sec && walk.ctimeNsec(index) > newest.nsec))
      newest = { sec, nsec: walk.ctimeNsec(index) }
  }
  return { paths: paths.join(NO_NAME), count: paths.length, fingerprints, newest }
}

/**
 * What a step changed in a directory, in the form of an overlay's upper directory: an entry is changed where its inode, size,
 * mtime or ctime is another one; the kernel sets ctime with every change of content, mode, owner, attributes or links, and no
 * program sets it back. Gone names are whiteouts, and a directory that stands in place of another one is opaque.
 */
export function compareTree({ root, before, records }: CompareTreeInput): CompareTreeOutput {
  const fd = openRoot(root)
  const cache = createDirectoryCache(fd, 'beneath')
  try {
    const walk = walkTree(fd)
    const former = indexOf(before)
    const changed: UpperEntry[] = []
    const links = new Map<string, ByteString[]>()
    /** Below this index everything is new: it lies in a directory that took the place of another one. */
    let newUntil = 0
    for (let index = 0; index < walk.length; index++) {
      const path = walk.path(index)
      const at = former.get(path)
      former.delete(path)
      const type = walk.type(index)
      if (type === 'socket') continue
      if (type !== 'directory' && walk.nlink(index) > 1) addLink(links, walk, index, path)
      if (at !== undefined && index >= newUntil && walk.hasFingerprint(index, before.fingerprints, at)) continue
      const isReplaced = at !== undefined && type === 'directory' && !isSameInode(walk, index, before, at)
      if (isReplaced) newUntil = Math.max(newUntil, walk.end(index))
      changed.push({
        ...changedEntry(walk, index, cache, { root, records }),
        ...(isReplaced ? { isOpaque: true } : {}),
      })
    }
    const gone = [...former.keys()].map((path) => makeEntry({ path, type: 'whiteout' }))
    return { entries: [...gone, ...changed], linked: [...links.values()], after: recordOf(walk) }
  } finally {
    cache.close()
    closeFd(fd)
  }
}

/** Where the fingerprint of each path lies. */
function indexOf(record: TreeRecord): Map<ByteString, number> {
  const paths = record.count === 0 ? [] : record.paths.split(NO_NAME)
  return new Map(paths.map((path, index) => [path, index * FINGERPRINT_WORDS]))
}

const scratch = new Uint32Array(FINGERPRINT_WORDS)

function isSameInode(walk: PackedEntries, index: number, before: TreeRecord, at: number): boolean {
  walk.copyFingerprint(index, scratch, 0)
  for (let word = INODE_WORD; word < FINGERPRINT_WORDS; word++)
    if (scratch[word] !== before.fingerprints[at + word]) return false
  return true
}

function addLink(links: Map<string, ByteString[]>, walk: PackedEntries, index: number, path: ByteString): void {
  if (walk.type(index) !== 'file') return
  const key = `${walk.dev(index)}-${walk.ino(index)}`
  const names = links.get(key)
  if (names === undefined) links.set(key, [path])
  else names.push(path)
}

/** Attributes are asked for where something changed alone: for all entries that were a system call each. */
function changedEntry(
  walk: PackedEntries,
  index: number,
  cache: DirectoryCache,
  { root, records }: Pick<CompareTreeInput, 'root' | 'records'>,
): UpperEntry {
  const type = walk.type(index)
  if (records === 'none' && type !== 'file' && type !== 'symlink') return entryOfWalk(walk, index, { root })
  const { fd, name } = cache.parent(walk.path(index))
  const xattrs = records === 'none' ? undefined : getXattrs(fd, name)
  return entryOfWalk(walk, index, {
    root,
    ...(type === 'file' ? { capability: xattrs?.get(CAPABILITY) ?? getXattr(fd, name, CAPABILITY) } : {}),
    ...(type === 'symlink' ? { link: readlinkAt(fd, name) } : {}),
    ...recordedFacts(records, readOwnerRecord(xattrs)),
  })
}

/** Makes a file of its own of every name but the first of each group. Directories keep their times. */
export function splitLinks({ root, groups }: SplitLinksInput): void {
  const fd = openRoot(root)
  const cache = createDirectoryCache(fd, 'beneath')
  const tree = createLocalTree(root)
  try {
    for (const [first, ...others] of groups) for (const path of others) splitLink(tree, cache, first!, path)
  } finally {
    tree.close()
    cache.close()
    closeFd(fd)
  }
}

function splitLink(
  tree: ReturnType<typeof createLocalTree>,
  cache: DirectoryCache,
  first: ByteString,
  path: ByteString,
): void {
  const from = cache.parent(first)
  const source = openAt(from.fd, from.name, OpenFlags.read | OpenFlags.noFollow | OpenFlags.nonBlocking)
  try {
    const status = statAt(from.fd, from.name)
    const xattrs = getXattrs(from.fd, from.name)
    const directory = statFd(cache.parent(path).fd)
    tree.remove(path)
    tree.beginFile(path, {
      owner: { uid: status.uid, gid: status.gid },
      mode: status.mode,
      mtime: { sec: status.mtimeSec, nsec: status.mtimeNsec },
      xattrs,
    })
    copyContent(source, tree.fileFd(), status.size)
    tree.endFile()
    const above = parentPath(path)
    if (above !== '') tree.setAttributes(above, { mtime: { sec: directory.mtimeSec, nsec: directory.mtimeNsec } })
  } finally {
    closeFd(source)
  }
}
