import { statSync } from 'node:fs'
import { administrationRemedy, refusalRemedy, rootRemedy } from '../place.ts'
import type { LaunchPlan, Refusal } from '../types.ts'

/** Root's own namespaces: ids are the host's, overlay's attributes are trusted.*, devices are made. */
export const overlayXattr = 'trusted'

export function plans(): readonly LaunchPlan[] | Refusal {
  if (process.geteuid?.() !== 0) return { reason: 'this process is not root', remedy: rootRemedy() }
  // Root there may mount, but has no `trusted.*` (an overlay without them fails `rm -r` by EIO), makes no device, and may lack ids.
  if (isInUserNamespace())
    return { reason: 'this process is root of a user namespace alone', remedy: 'use --isolation=rootless' }
  return [{ map: ['identity'], idMapping: { kind: 'identity' } }]
}

/** USER_NS_INIT_INO of the kernel's linux/nsfs.h: the first user namespace has it since Linux 3.8. */
const INITIAL_USER_NAMESPACE = 0xef_ff_ff_fd

function isInUserNamespace(): boolean {
  const file = statSync('/proc/self/ns/user', { throwIfNoEntry: false })
  return file !== undefined && file.ino !== INITIAL_USER_NAMESPACE
}

export function explain(operation: string, errno: string): Refusal {
  return {
    reason: `${operation}: ${errno}`,
    remedy: ['EPERM', 'ENOSYS', 'EACCES'].includes(errno)
      ? refusalRemedy(errno, undefined, administrationRemedy())
      : 'see the kernel log',
  }
}
