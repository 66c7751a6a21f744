import { setTimeout as delay } from 'node:timers/promises'
import { closeFd, errnoOf, flockFd, openPath, OpenFlags } from '@ts-oci/runtime'

/** A lock that another export has is asked for so often. */
const POLL_MS = 50

/**
 * Runs work that has a directory for itself among all exports of all processes: a flock of the directory itself, which
 * leaves no file behind and ends with its process.
 */
export async function withDirectoryLock<Result>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  const fd = openPath(path, OpenFlags.read | OpenFlags.directory)
  try {
    while (!tryLock(fd)) await delay(POLL_MS, undefined, signal === undefined ? {} : { signal })
    return await work()
  } finally {
    closeFd(fd)
  }
}

/** A file system without locks (some of the network) has none to offer: as good as it was. */
function tryLock(fd: number): boolean {
  try {
    return flockFd(fd, 'exclusive')
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOLCK' || errno === 'ENOTSUP' || errno === 'EOPNOTSUPP' || errno === 'EINVAL') return true
    throw error
  }
}
