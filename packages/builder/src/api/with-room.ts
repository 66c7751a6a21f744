import { resolve } from 'node:path'
import { isTsOciError } from '../base/errors.ts'
import type { CommonOptions } from '../build/public-types.ts'
import { defaultRoot } from '../store/paths.ts'

/**
 * Runs a call that makes room on the disk of the store. Where that has not even room for the call itself, the room that the store
 * keeps for it is given up first.
 */
export async function withRoom<Result>(
  { session, store }: Pick<CommonOptions, 'session' | 'store'>,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!isTsOciError(error) || error.code !== 'OCI_STORE_FULL') throw error
    const { giveReserve } = await import('../store/reserve.ts')
    giveReserve(session?.store.root ?? resolve(store ?? defaultRoot(process.env)))
    return work()
  }
}
