import { accessSync, constants, readFileSync } from 'node:fs'
import { findProgram } from '../../find-program.ts'
import { administrationRemedy } from '../../isolation/place.ts'
import type { Refusal } from '../../isolation/types.ts'
import { isTsOciError } from '../../errors.ts'
import type { OpenedSnapshots, SnapshotPlace } from '../types.ts'

const CAP_SYS_ADMIN = 1n << 21n

/**
 * A sparse ext4 image beside the trees, mounted through a loop device: an overlay takes an upper directory there whatever the
 * disk is. For real root: a user namespace has no loop devices.
 */
export async function open(place: SnapshotPlace): Promise<OpenedSnapshots | Refusal> {
  const refusal = refusalHere(place)
  if (refusal !== undefined) return refusal
  const { openTreeImage } = await import('./tree-image.ts')
  try {
    return { image: await openTreeImage(place) }
  } catch (error) {
    if (!isTsOciError(error) || place.signal?.aborted) throw error
    return { reason: error.message, remedy: error.hint ?? 'see the kernel log' }
  }
}

/** Why it cannot work, told without making anything. */
function refusalHere({ isolation }: SnapshotPlace): Refusal | undefined {
  if (isolation !== 'auto' && isolation !== 'namespace')
    return { reason: `isolation ${isolation} mounts no images`, remedy: 'it takes --isolation=namespace' }
  if (process.geteuid?.() !== 0 || !isAdministrator())
    return { reason: 'this process may mount nothing', remedy: administrationRemedy() }
  try {
    accessSync('/dev/loop-control', constants.R_OK | constants.W_OK)
  } catch {
    return { reason: 'there is no /dev/loop-control', remedy: 'docker run --privileged; on a host: modprobe loop' }
  }
  if (findProgram('mkfs.ext4') === undefined)
    return { reason: 'mkfs.ext4 is missing', remedy: 'install it: apt-get install e2fsprogs' }
  return undefined
}

function isAdministrator(): boolean {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
    return effective !== undefined && (BigInt(`0x${effective}`) & CAP_SYS_ADMIN) !== 0n
  } catch {
    return false
  }
}
