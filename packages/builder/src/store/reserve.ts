import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { storePaths } from './paths.ts'

/** For the log of a transaction that removes some two thousand rows, and the shared memory beside it. */
const RESERVE_BYTES = 512 * 1024

/**
 * Keeps some room on the disk of the store: to remove anything, rows have to be written first, and on a disk without a free block
 * nothing could be. Where there is no room for it, there is none.
 */
export function keepReserve(root: string): void {
  const path = reservePath(root)
  try {
    // Not of zeros: some file systems store none of those.
    writeFileSync(path, randomBytes(RESERVE_BYTES), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') rmSync(path, { force: true })
  }
}

/** Gives that room to who is about to make more of it. */
export function giveReserve(root: string): void {
  rmSync(reservePath(root), { force: true })
}

function reservePath(root: string): string {
  return join(storePaths(root).run, 'reserve')
}
