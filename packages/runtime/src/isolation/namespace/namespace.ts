import type { LaunchPlan, Refusal } from '../types.ts'

/** Root's own namespaces: ids are the host's, overlay's attributes are trusted.*, devices are made. */
export const overlayXattr = 'trusted'

export function plans(): readonly LaunchPlan[] | Refusal {
  return process.geteuid?.() === 0
    ? [{ map: ['identity'], idMapping: { kind: 'identity' } }]
    : { reason: 'this process is not root', remedy: 'run as root, or use --isolation=rootless' }
}

export function explain(operation: string, errno: string): Refusal {
  return {
    reason: `${operation}: ${errno}`,
    remedy:
      errno === 'EPERM' || errno === 'ENOSYS' || errno === 'EACCES'
        ? 'root lacks CAP_SYS_ADMIN here, or a filter forbids namespaces (a container?): run it with --privileged, or with --security-opt seccomp=unconfined --security-opt systempaths=unconfined for rootless isolation'
        : 'see the kernel log',
  }
}
