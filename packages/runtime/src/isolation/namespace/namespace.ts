import { administrationRemedy, isInUserNamespace, refusalRemedy, rootRemedy } from '../place.ts'
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

export function explain(operation: string, errno: string): Refusal {
  return {
    reason: `${operation}: ${errno}`,
    remedy: ['EPERM', 'ENOSYS', 'EACCES'].includes(errno)
      ? refusalRemedy(errno, undefined, administrationRemedy())
      : 'see the kernel log',
  }
}
