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
  return new EditedTree(root, now)
}

class EditedTree implements FileTarget {
  readonly now: Time
  private readonly edit: TreeEditor
  // The tree only changes through this target: what is asked most often is remembered.
  private touched: ByteString | undefined = undefined
  private directory: ByteString | undefined = undefined

  constructor(root: TreeNode, now: Time) {
    this.now = now
    this.edit = editTree(root)
  }

  resolve(path: ByteString): ByteString {
    refuseNul(path)
    const resolved = resolvePath(this.edit.peek(), path, true)
    if (resolved.node === undefined) refuseBelowFile(this.edit, resolved.path)
    return resolved.path
  }

  resolveBelow(directory: ByteString, path: ByteString): ByteString {
    const node = this.edit.node(directory)
    return node === undefined ? joinPath(directory, path) : joinPath(directory, resolvePath(node, path, true).path)
  }

  entry(path: ByteString): ViewEntry | undefined {
    return this.edit.node(path)?.entry
  }

  put(entry: ViewEntry): void {
    const parent = parentPath(entry.path)
    if (parent !== this.directory) {
      const node = this.edit.node(parent)
      if (node === undefined) throw failed('open', entry.path, 'no such file or directory')
      if (node.children === undefined) throw failed('open', entry.path, 'not a directory')
      this.directory = parent
    }
    if (entry.path === this.touched) this.touched = undefined
    if (entry.path === this.directory) this.directory = undefined
    this.edit.put(entry)
    this.touch(parent)
  }

  update(entry: ViewEntry): void {
    if (entry.path === this.touched) this.touched = undefined
    this.edit.put(entry)
  }

  /** Root, and the group of a directory that hands its group on. */
  newOwner(path: ByteString): Ids {
    const parent = this.edit.node(parentPath(path))?.entry
    return { uid: 0, gid: parent !== undefined && (parent.mode & SET_GID) !== 0 ? parent.gid : 0 }
  }

  makeDirectories(path: ByteString, options: DirectoryOptions): readonly ByteString[] {
    const made: ByteString[] = []
    const make = (directory: ByteString): void => {
      const node = this.edit.node(directory)
      if (node?.children !== undefined) return
      if (node !== undefined) throw failed('mkdir', directory, 'not a directory')
      make(parentPath(directory))
      const { sec, nsec } = options.time ?? this.now
      const { uid, gid } = options.owner ?? this.newOwner(directory)
      const above = this.edit.node(parentPath(directory))?.entry.mode ?? 0
      const mode = (options.mode & 0o777) | (options.isImplied === true ? 0 : above & SET_GID)
      this.put(makeEntry({ path: directory, type: 'directory', mode, uid, gid, mtimeSec: sec, mtimeNsec: nsec }))
      made.push(directory)
    }
    make(path)
    return made
  }

  remove(path: ByteString): void {
    if (this.edit.node(path) === undefined) return
    this.edit.remove(path)
    this.touched = this.directory = undefined
    this.touch(parentPath(path))
  }

  view(): View {
    return viewOfTree(this.edit.peek())
  }

  snapshot(): TreeNode {
    return this.edit.snapshot()
  }

  private touch(path: ByteString): void {
    if (path === this.touched) return
    this.touched = path
    const node = this.edit.node(path)
    if (node !== undefined) this.edit.put({ ...node.entry, mtimeSec: this.now.sec, mtimeNsec: this.now.nsec })
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
