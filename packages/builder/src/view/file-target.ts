import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { makeEntry } from './entry.ts'
import { cleanPath, joinPath, parentPath } from './paths.ts'
import { resolvePath } from './resolve.ts'
import { editTree, type TreeEditor, type TreeNode } from './tree.ts'
import type { View, ViewEntry } from './types.ts'
import { viewOfTree } from './view.ts'

export interface Ids {
  readonly uid: number
  readonly gid: number
}

export interface Time {
  readonly sec: number
  readonly nsec: number
}

export interface DirectoryOptions {
  /** Permission bits, 0777. */
  readonly mode: number
  readonly owner: Ids | undefined
  readonly time: Time | undefined
  /** An archive does not list it: it takes the group of a set-gid parent, but not the bit. */
  readonly isImplied?: boolean
}

/**
 * A file system that an action writes to, in memory. It behaves as the real one where that shows in a layer: making,
 * replacing or removing a name sets its directory's mtime to now.
 */
export interface FileTarget {
  readonly now: Time
  /** Where a path leads inside the root, all symlinks followed. Throws OCI_FILE_OP_FAILED on a circle of links. */
  resolve(path: ByteString): ByteString
  /** The same with a directory in the place of the root. */
  resolveBelow(directory: ByteString, path: ByteString): ByteString
  /** The entry at exactly this path. */
  entry(path: ByteString): ViewEntry | undefined
  /** Who owns a new name that nobody gives an owner. */
  newOwner(path: ByteString): Ids
  /** Makes a directory and its missing parents; answers those that it made, top first. */
  makeDirectories(path: ByteString, options: DirectoryOptions): readonly ByteString[]
  /** Makes or replaces a name. */
  put(entry: ViewEntry): void
  /** Changes what an entry says; its name stays, so its directory does too. */
  update(entry: ViewEntry): void
  remove(path: ByteString): void
  /** What stands now, to be read at once. */
  view(): View
  snapshot(): TreeNode
}

const SET_GID = 0o2000

export function createFileTarget(root: TreeNode, now: Time): FileTarget {
  const edit: TreeEditor = editTree(root)
  // The tree only changes through this target: what is asked most often is remembered.
  let touched: ByteString | undefined
  let directory: ByteString | undefined

  function touch(path: ByteString): void {
    if (path === touched) return
    touched = path
    const node = edit.node(path)
    if (node !== undefined) edit.put({ ...node.entry, mtimeSec: now.sec, mtimeNsec: now.nsec })
  }

  function put(entry: ViewEntry): void {
    const parent = parentPath(entry.path)
    if (parent !== directory) {
      const node = edit.node(parent)
      if (node === undefined) throw failed('open', entry.path, 'no such file or directory')
      if (node.children === undefined) throw failed('open', entry.path, 'not a directory')
      directory = parent
    }
    if (entry.path === touched) touched = undefined
    if (entry.path === directory) directory = undefined
    edit.put(entry)
    touch(parent)
  }

  function update(entry: ViewEntry): void {
    if (entry.path === touched) touched = undefined
    edit.put(entry)
  }

  /** Root, and the group of a directory that hands its group on. */
  function newOwner(path: ByteString): Ids {
    const parent = edit.node(parentPath(path))?.entry
    return { uid: 0, gid: parent !== undefined && (parent.mode & SET_GID) !== 0 ? parent.gid : 0 }
  }

  function makeDirectories(path: ByteString, options: DirectoryOptions): readonly ByteString[] {
    const made: ByteString[] = []
    const make = (directory: ByteString): void => {
      const node = edit.node(directory)
      if (node?.children !== undefined) return
      if (node !== undefined) throw failed('mkdir', directory, 'not a directory')
      make(parentPath(directory))
      const { sec, nsec } = options.time ?? now
      const { uid, gid } = options.owner ?? newOwner(directory)
      const above = edit.node(parentPath(directory))?.entry.mode ?? 0
      const mode = (options.mode & 0o777) | (options.isImplied === true ? 0 : above & SET_GID)
      put(makeEntry({ path: directory, type: 'directory', mode, uid, gid, mtimeSec: sec, mtimeNsec: nsec }))
      made.push(directory)
    }
    make(path)
    return made
  }

  return {
    now,
    resolve(path) {
      refuseNul(path)
      const resolved = resolvePath(edit.peek(), path, true)
      if (resolved.node === undefined) refuseBelowFile(edit, resolved.path)
      return resolved.path
    },
    resolveBelow(directory, path) {
      const node = edit.node(directory)
      return node === undefined ? joinPath(directory, path) : joinPath(directory, resolvePath(node, path, true).path)
    },
    entry: (path) => edit.node(path)?.entry,
    newOwner,
    makeDirectories,
    put,
    update,
    remove(path) {
      if (edit.node(path) === undefined) return
      edit.remove(path)
      touched = directory = undefined
      touch(parentPath(path))
    },
    view: () => viewOfTree(edit.peek()),
    snapshot: () => edit.snapshot(),
  }
}

/** No name of a file holds a NUL: a header of a tar would end there, and name another file. Throws OCI_FILE_OP_FAILED. */
export function refuseNul(path: ByteString): void {
  const at = path.indexOf('\0')
  if (at === -1) return
  const end = path.indexOf('/', at)
  throw failed('lstat', cleanPath(end === -1 ? path : path.slice(0, end)), 'invalid argument')
}

/** Nothing can be looked up below what is no directory. */
function refuseBelowFile(edit: TreeEditor, path: ByteString): void {
  const parts = path.split('/')
  for (let length = 1; length < parts.length; length++) {
    const node = edit.node(parts.slice(0, length).join('/'))
    if (node === undefined) return
    if (node.children === undefined) throw failed('lstat', parts.slice(0, length + 1).join('/'), 'not a directory')
  }
}

/** A failure in the words of Go's `os` package, which BuildKit prints. */
export function failed(operation: string, path: ByteString, reason: string): BuilderError {
  return new BuilderError('OCI_FILE_OP_FAILED', `${operation} /${fromByteString(path)}: ${reason}`, {
    details: { path },
  })
}
