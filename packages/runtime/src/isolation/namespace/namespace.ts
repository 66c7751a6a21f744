import { administrationRemedy, refusalRemedy, rootRemedy } from '../place.ts'
import type { LaunchPlan, Refusal } from '../types.ts'

/** Root's own namespaces: ids are the host's, overlay's attributes are trusted.*, devices are made. */
export const overlayXattr = 'trusted'

export function plans(): readonly LaunchPlan[] | Refusal {
  return process.geteuid?.() === 0
    ? [{ map: ['identity'], idMapping: { kind: 'identity' } }]
    : { reason: 'this process is not root', remedy: rootRemedy() }
}

export function explain(operation: string, errno: string): Refusal {
  return {
    reason: `${operation}: ${errno}`,
    remedy: ['EPERM', 'ENOSYS', 'EACCES'].includes(errno)
      ? refusalRemedy(errno, undefined, administrationRemedy())
      : 'see the kernel log',
  }
}
