import { constants } from 'node:fs'
import { addon, check, checkPresent, resolutionFlags } from './call.ts'
import { giveToRoot } from './made-as-root.ts'
import { localPath } from './private-mounts.ts'
import type { PathResolution } from './types.ts'

/** Flags of open(2) that `node:fs` does not name, beside those that callers of this folder need most. */
export const OpenFlags: Readonly<
  Record<
    | 'read'
    | 'write'
    | 'readWrite'
    | 'create'
    | 'exclusive'
    | 'truncate'
    | 'append'
    | 'directory'
    | 'noFollow'
    | 'nonBlocking'
    | 'path',
    number
  >
> = {
  read: constants.O_RDONLY,
  write: constants.O_WRONLY,
  readWrite: constants.O_RDWR,
  create: constants.O_CREAT,
  exclusive: constants.O_EXCL,
  truncate: constants.O_TRUNC,
  append: constants.O_APPEND,
  directory: constants.O_DIRECTORY,
  /** Refuses a symlink in the last component (ELOOP); its number differs between architectures. */
  noFollow: constants.O_NOFOLLOW,
  /** Opening a fifo or a device must not wait for its other end. */
  nonBlocking: constants.O_NONBLOCK,
  /** A handle that names the file and neither reads nor writes it; needs no permission on it. */
  path: 0o10000000,
}

/**
 * Opens a directory by an ordinary path that this process chose itself (the store, a context): symlinks are followed.
 * Close it with `closeFd`. Throws OCI_RUNTIME_FILES.
 */
export function openRoot(path: string): number {
  const bytes = Buffer.from(localPath(path), 'utf8').toString('latin1')
  return check(addon().openPath(bytes, OpenFlags.read | OpenFlags.directory, 0), 'open', bytes)
}

/** Opens a file by an ordinary path of ours (a lock, a memo). `mode` is subject to the umask. */
export function openPath(path: string, flags: number, mode = 0o666): number {
  const bytes = Buffer.from(localPath(path), 'utf8').toString('latin1')
  return check(addon().openPath(bytes, flags, mode), 'open', bytes)
}

/**
 * Opens one name in a directory (`.` for the directory itself). A symlink is never followed: ELOOP, or with
 * `OpenFlags.path` the link itself. A name with a slash, `..` or an empty one is EINVAL. `mode` is subject to the umask.
 */
export function openAt(directoryFd: number, name: string, flags: number, mode = 0o666): number {
  const fd = check(addon().openAt(directoryFd, name, flags, mode), 'open', name)
  if ((flags & OpenFlags.exclusive) !== 0) giveToRoot(fd, '')
  return fd
}

/** As `openAt`; undefined when nothing of that name exists. */
export function openAtIfPresent(directoryFd: number, name: string, flags: number, mode = 0o666): number | undefined {
  return checkPresent(addon().openAt(directoryFd, name, flags, mode), 'open', name)
}

/**
 * Opens a path of several components: `in-root` follows symlinks as chroot would, `beneath` refuses every symlink.
 * `''` is the directory itself. Add `OpenFlags.noFollow` to refuse a symlink in the last component of an `in-root` path.
 */
export function openResolved(
  directoryFd: number,
  path: string,
  flags: number,
  resolution: PathResolution,
  mode = 0o666,
): number {
  return check(addon().openResolved(directoryFd, path, flags, mode, resolutionFlags(resolution)), 'open', path)
}

/** As `openResolved`; undefined when nothing is there. */
export function openResolvedIfPresent(
  directoryFd: number,
  path: string,
  flags: number,
  resolution: PathResolution,
  mode = 0o666,
): number | undefined {
  return checkPresent(addon().openResolved(directoryFd, path, flags, mode, resolutionFlags(resolution)), 'open', path)
}

/** A file without a name in a directory, readable and writable; `linkFd` gives it one. ENOTSUP where the file system has none. */
export function openTemporary(directoryFd: number, mode = 0o600): number {
  const temporary = 0o20000000 | OpenFlags.directory
  return check(addon().openAt(directoryFd, '.', temporary | OpenFlags.readWrite, mode), 'open', '.')
}

export function closeFd(fd: number): void {
  check(addon().close(fd), 'close', `fd ${fd}`)
}

/** Calls `use` with a directory descriptor and closes it afterwards. */
export function withFd<Result>(fd: number, use: (fd: number) => Result): Result {
  try {
    return use(fd)
  } finally {
    closeFd(fd)
  }
}
