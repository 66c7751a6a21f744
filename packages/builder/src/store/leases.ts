import { closeSync, constants, openSync, readFileSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { StorePaths } from './paths.ts'
import { passingName } from '../base/passing-name.ts'
import { lockUnheld, tryLockFile, type HeldLock } from './lock-files.ts'

/**
 * What an open store uses: a file below `run/`, locked as long as the store is open, with a line for each thing. A line is
 * written *before* the row or the file is looked at. `prune` removes rows first and reads the leases again afterwards: who
 * saw a row had leased it by then, and it is put back. So neither waits for the other.
 */
export interface Leases {
  /** Id of a layer, key of a cache record, digest of a document. */
  take(name: string): void
  /** What the other stores that are open now use. */
  others(): LiveLeases
  /** The same with what this one uses, in which several builds may be at work. */
  all(): LiveLeases
  close(): void
}

export interface LiveLeases {
  readonly names: ReadonlySet<string>
  /** When the first of them was opened; milliseconds of the Unix epoch, Infinity when there is none. */
  readonly sinceMs: number
}

const PREFIX = 'lease-'

export function createLeases(paths: StorePaths): Leases {
  const name = `${PREFIX}${process.pid}-${passingName()}.lock`
  const path = join(paths.run, name)
  const taken = new Set<string>()
  const lock: HeldLock = lockUnheld(path)
  const fd = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW)
  const openedMs = Date.now()
  writeSync(fd, `${openedMs}\n`)
  return {
    take(wanted) {
      if (taken.has(wanted)) return
      taken.add(wanted)
      writeSync(fd, `${wanted}\n`)
    },
    others: () => readLeases(paths, name),
    all() {
      const { names, sinceMs } = readLeases(paths, name)
      return { names: new Set([...names, ...taken]), sinceMs: Math.min(sinceMs, openedMs) }
    },
    close() {
      closeSync(fd)
      lock.release()
    },
  }
}

function readLeases(paths: StorePaths, own: string): LiveLeases {
  const names = new Set<string>()
  let sinceMs = Infinity
  for (const name of readdirSync(paths.run)) {
    if (!name.startsWith(PREFIX) || name === own) continue
    const path = join(paths.run, name)
    // A dead one's lock is free, and goes with its file.
    const dead = tryLockFile(path, false)
    dead?.release()
    if (dead !== undefined) continue
    const [first, ...lines] = readIfPresent(path).split('\n')
    sinceMs = Math.min(sinceMs, Number(first) || Date.now())
    // The last line is empty, or not whole yet.
    for (const line of lines.slice(0, -1)) names.add(line)
  }
  return { names, sinceMs }
}

function readIfPresent(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return ''
    throw error
  }
}
