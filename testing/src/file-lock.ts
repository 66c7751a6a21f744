import { open, readFile, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Runs `body` while no other process of the machine does under the same `path`; a lock of a dead process is taken over. */
export async function withFileLock<T>(path: string, body: () => Promise<T>): Promise<T> {
  while (!(await tryLock(path))) {
    const owner = Number(await readFile(path, 'utf8').catch(() => ''))
    // A file without a number was made a moment ago and is about to be written.
    if (owner > 0 && !isAlive(owner)) await rm(path, { force: true })
    else await sleep(100)
  }
  try {
    return await body()
  } finally {
    await rm(path, { force: true })
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    await using file = await open(path, 'wx')
    await file.writeFile(String(process.pid))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
