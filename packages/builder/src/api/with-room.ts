import { statfsSync } from 'node:fs'
import { resolve } from 'node:path'
import { isTsOciError } from '../base/errors.ts'
import type { CommonOptions } from '../build/public-types.ts'
import { defaultRoot } from '../store/paths.ts'

const NEARLY_FULL_BYTES = 128 * 1024

/**
 * Runs a call that makes room on the disk of the store. Where that has not even room for the call itself, the room that the store
 * keeps for it is given up first.
 */
export async function withRoom<Result>(
  { session, store }: Pick<CommonOptions, 'session' | 'store'>,
  work: () => Promise<Result>,
): Promise<Result> {
  const root = session?.store.root ?? resolve(store ?? defaultRoot(process.env))
  const { giveReserve } = await import('../store/reserve.ts')
  // Beforehand: on a disk with blocks of a kilobyte SQLite's shared memory has no error for it, the kernel ends the process (SIGBUS).
  if (isNearlyFull(root)) giveReserve(root)
  try {
    return await work()
  } catch (error) {
    // As where a quota is at its end.
    if (!isTsOciError(error) || error.code !== 'OCI_STORE_FULL') throw error
    giveReserve(root)
    return work()
  }
}

function isNearlyFull(root: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(root)
    return bavail * bsize < NEARLY_FULL_BYTES
  } catch {
    // No store yet; whoever opens it says what is wrong.
    return false
  }
}
