import { addon, check } from './call.ts'
import { filesError } from './errors.ts'
import { giveToRoot } from './made-as-root.ts'
import type { FileTime } from './types.ts'

// Each call works on one name in a directory and never follows a symlink of that name.
// A name with a slash, `..` or an empty one is EINVAL.

/** Makes a directory; `mode` is subject to the umask (`chmodAt` sets it exactly). */
export function mkdirAt(directoryFd: number, name: string, mode = 0o777): void {
  check(addon().mkdirAt(directoryFd, name, mode), 'mkdir', name)
  giveToRoot(directoryFd, name)
}

/** Makes a directory unless one stands there; true when it was made. A file or a symlink in its place is EEXIST. */
export function mkdirAtIfMissing(directoryFd: number, name: string, mode = 0o777): boolean {
  const result = addon().mkdirAt(directoryFd, name, mode)
  const EEXIST = 17
  if (result !== -EEXIST) {
    check(result, 'mkdir', name)
    giveToRoot(directoryFd, name)
    return true
  }
  const isDirectory = addon().statAt(directoryFd, name) === 0o040000
  if (!isDirectory) throw filesError('mkdir', name, EEXIST)
  return false
}

export function symlinkAt(target: string, directoryFd: number, name: string): void {
  check(addon().symlinkAt(target, directoryFd, name), 'symlink', name)
  giveToRoot(directoryFd, name)
}

/** A hard link; when the old name is a symlink the link itself gets a second name. */
export function linkAt(oldDirectoryFd: number, oldName: string, directoryFd: number, name: string): void {
  check(addon().linkAt(oldDirectoryFd, oldName, directoryFd, name), 'link', name)
}

/** Gives a file of `openTemporary` its name; EEXIST when the name is taken. */
export function linkFd(fd: number, directoryFd: number, name: string): void {
  check(addon().linkAt(fd, '', directoryFd, name), 'link', name)
}

/** A fifo, a device or (0/0, character) an overlay whiteout; permission bits are subject to the umask. */
export function mknodAt(
  directoryFd: number,
  name: string,
  type: 'fifo' | 'character' | 'block' | 'file' | 'socket',
  mode: number,
  major = 0,
  minor = 0,
): void {
  check(addon().mknodAt(directoryFd, name, MODE_OF[type] | mode, major, minor), 'mknod', name)
  giveToRoot(directoryFd, name)
}

export function unlinkAt(directoryFd: number, name: string): void {
  check(addon().unlinkAt(directoryFd, name, false), 'unlink', name)
}

/** Removes an empty directory. */
export function rmdirAt(directoryFd: number, name: string): void {
  check(addon().unlinkAt(directoryFd, name, true), 'rmdir', name)
}

/** Moves a name; replaces what is there unless `noReplace` (EEXIST). */
export function renameAt(
  oldDirectoryFd: number,
  oldName: string,
  directoryFd: number,
  name: string,
  options: { readonly noReplace?: boolean } = {},
): void {
  check(
    addon().renameAt(oldDirectoryFd, oldName, directoryFd, name, options.noReplace === true ? 1 : 0),
    'rename',
    name,
  )
}

/** Owner of a name, a symlink's own too. The kernel then clears set-id bits and file capabilities: set mode and xattrs later. */
export function chownAt(directoryFd: number, name: string, uid: number, gid: number): void {
  check(addon().chownAt(directoryFd, name, uid, gid), 'chown', name)
}

/** Permission bits, 07777, exactly. ENOTSUP on a symlink, which has none. */
export function chmodAt(directoryFd: number, name: string, mode: number): void {
  check(addon().chmodAt(directoryFd, name, mode), 'chmod', name)
}

/** Times of a name, a symlink's own too, to the nanosecond. */
export function utimensAt(directoryFd: number, name: string, atime: FileTime, mtime: FileTime): void {
  check(addon().utimensAt(directoryFd, name, atime.sec, atime.nsec, mtime.sec, mtime.nsec), 'utimens', name)
}

/**
 * Removes a file or a whole tree by descriptors, following nothing; directories whose mode forbids it are opened up
 * when they are ours. Nothing of that name is no error. Throws OCI_RUNTIME_FILES naming what could not be removed.
 */
export function removeTree(directoryFd: number, name: string): void {
  const result = addon().removeTree(directoryFd, name)
  if (typeof result === 'number') check(result, 'remove', name)
  else throw filesError('remove', result[1], -result[0])
}

const MODE_OF = { fifo: 0o010000, character: 0o020000, block: 0o060000, file: 0o100000, socket: 0o140000 } as const
