import { check, addon } from './call.ts'

/** What the executor tells its process for file jobs where that is not root of its namespace. */
export const MADE_AS_ROOT = 'TS_OCI_MADE_AS_ROOT'

const isGiven = process.env[MADE_AS_ROOT] === '1'

/**
 * What such a process makes is root's all the same: given away before anything else is done with it. Name '': the file of the
 * descriptor itself.
 */
export function giveToRoot(directoryFd: number, name: string): void {
  if (isGiven) check(addon().chownAt(directoryFd, name, 0, 0), 'chown', name)
}
