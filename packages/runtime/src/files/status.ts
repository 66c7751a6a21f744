import { addon, check, checkPresent, lastStat, resolutionFlags } from './call.ts'
import { filesError } from './errors.ts'
import { OpenFlags } from './open.ts'
import { PackedEntries } from './packed-entries.ts'
import type { PackedOrFailure } from '../native.ts'
import type { DirectoryName, FileStat, PathResolution, WalkOptions } from './types.ts'

/** Status of one name in a directory; a symlink is not followed. */
export function statAt(directoryFd: number, name: string): FileStat {
  check(addon().statAt(directoryFd, name), 'stat', name)
  return lastStat()
}

/** As `statAt`; undefined when nothing of that name exists. */
export function statAtIfPresent(directoryFd: number, name: string): FileStat | undefined {
  return checkPresent(addon().statAt(directoryFd, name), 'stat', name) === undefined ? undefined : lastStat()
}

export function statFd(fd: number): FileStat {
  check(addon().statFd(fd), 'stat', `fd ${fd}`)
  return lastStat()
}

/** Status of a path of several components; undefined when nothing is there. `followLast` (in-root only) follows a final symlink. */
export function statResolved(
  directoryFd: number,
  path: string,
  resolution: PathResolution,
  followLast = false,
): FileStat | undefined {
  const flags = OpenFlags.path | (followLast ? 0 : OpenFlags.noFollow)
  const result = addon().statResolved(directoryFd, path, flags, resolutionFlags(resolution))
  return checkPresent(result, 'stat', path) === undefined ? undefined : lastStat()
}

/** Target of a symlink, as bytes. `name` may be `''` for a descriptor opened on the link itself. */
export function readlinkAt(directoryFd: number, name: string): string {
  const target = addon().readlinkAt(directoryFd, name)
  if (typeof target === 'number') throw filesError('readlink', name, -target)
  return target
}

/** Names and types in a directory, sorted bytewise, without `.` and `..`. */
export function readDirectory(directoryFd: number): DirectoryName[] {
  const entries = unpack(addon().readDirectory(directoryFd, NAMES_ONLY), 'readdir')
  return Array.from({ length: entries.length }, (_, index) => ({
    name: entries.name(index),
    type: entries.type(index),
  }))
}

/** Everything that `lstat` says of each entry of one directory, sorted bytewise by name. */
export function readDirectoryWithStats(directoryFd: number, options: WalkOptions = {}): PackedEntries {
  return unpack(addon().readDirectory(directoryFd, walkFlags(options)), 'readdir')
}

/**
 * A whole tree below a directory (the directory itself not included): depth-first, names bytewise, a directory
 * before its content. Follows nothing. Throws OCI_RUNTIME_FILES naming the entry that could not be read.
 */
export function walkTree(directoryFd: number, options: WalkOptions = {}): PackedEntries {
  return unpack(addon().walk(directoryFd, walkFlags(options)), 'walk')
}

const WITH_XATTRS = 1
const WITH_LINKS = 2
const NAMES_ONLY = 4

function walkFlags(options: WalkOptions): number {
  return (options.xattrs === true ? WITH_XATTRS : 0) | (options.links === true ? WITH_LINKS : 0)
}

function unpack(result: PackedOrFailure, syscall: string): PackedEntries {
  const [records, text] = result
  if (typeof records === 'number') throw filesError(syscall, text, -records)
  return new PackedEntries(records, text)
}
