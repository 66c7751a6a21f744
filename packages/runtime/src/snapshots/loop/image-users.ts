import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { flockFd } from '../../files/content.ts'
import { closeFd, openPath, OpenFlags } from '../../files/open.ts'

const FIRST_WAIT_MS = 1
const LONGEST_WAIT_MS = 25
const OPEN_LOCK = OpenFlags.readWrite | OpenFlags.create | OpenFlags.noFollow | OpenFlags.nonBlocking

/** Runs work while nobody else makes, finds or mounts the image of a directory. */
export async function whileAlone<T>(
  directory: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const fd = openPath(join(directory, 'lock'), OPEN_LOCK, 0o600)
  try {
    for (let waitMs = FIRST_WAIT_MS; !flockFd(fd, 'exclusive'); waitMs = Math.min(waitMs * 1.5, LONGEST_WAIT_MS)) {
      signal?.throwIfAborted()
      await delay(waitMs)
    }
    return await work()
  } finally {
    closeFd(fd)
  }
}

/** A file that is locked while this process uses the image, and gone when it ended in order. */
export function enterUsers(directory: string): { leave(): void } {
  const path = join(directory, `${process.pid}-${randomBytes(6).toString('hex')}.user`)
  const fd = openPath(path, OPEN_LOCK | OpenFlags.exclusive, 0o600)
  flockFd(fd, 'exclusive')
  return {
    leave: () => {
      rmSync(path, { force: true })
      closeFd(fd)
    },
  }
}

/** Whether somebody who used the image ended without order since this was last asked. With the lock held. */
export function hadDeadUsers(directory: string): boolean {
  let isFound = false
  for (const name of readdirSync(directory)) {
    if (!name.endsWith('.user')) continue
    const fd = openPath(join(directory, name), OPEN_LOCK, 0o600)
    if (flockFd(fd, 'exclusive')) {
      isFound = true
      rmSync(join(directory, name), { force: true })
    }
    closeFd(fd)
  }
  return isFound
}
