import { constants } from 'node:os'
import { RuntimeError } from '../errors.ts'

// Two names share a number twice; the first of the alphabet is the one that Node itself uses (EAGAIN, ENOTSUP).
const NAME_OF_ERRNO = new Map(
  Object.entries(constants.errno)
    .toReversed()
    .map(([name, number]) => [number, name]),
)

export function errnoName(errno: number): string {
  return NAME_OF_ERRNO.get(errno) ?? `errno ${errno}`
}

/**
 * A failed system call as our error: `details.errno` is the name (`ENOENT`), `details.syscall` and `details.path`
 * say which call and on what.
 */
export function filesError(syscall: string, path: string, errno: number): RuntimeError {
  const name = errnoName(errno)
  const shown = JSON.stringify(Buffer.from(path, 'latin1').toString('utf8')).slice(1, -1)
  return new RuntimeError('OCI_RUNTIME_FILES', `${syscall} "${shown}": ${describe(name)}`, {
    hint: HINTS[name],
    details: { errno: name, syscall, path },
  })
}

/** The errno name of an error of this folder or of `node:fs`; undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { details, code } = error as { details?: { errno?: unknown }; code?: unknown }
  if (typeof details?.errno === 'string') return details.errno
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined
}

function describe(name: string): string {
  const words = WORDS[name]
  return words === undefined ? name : `${words} (${name})`
}

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBUSY: 'in use',
  EDQUOT: 'disk quota exceeded',
  EEXIST: 'exists already',
  EINVAL: 'not a valid argument',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'too many or forbidden symbolic links',
  EMFILE: 'too many open files',
  EMLINK: 'too many links',
  ENAMETOOLONG: 'name too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOSYS: 'the kernel lacks this call',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  ENOTSUP: 'not supported by the file system',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  EXDEV: 'leaves the directory that it must stay in',
}

const HINTS: Readonly<Record<string, string>> = {
  EDQUOT: 'free some space or raise the quota',
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENOSPC: 'free some space, for example with `tsbuild prune`',
  ENOSYS: 'Linux 5.6 or newer is needed; a seccomp filter may also forbid the call',
}
