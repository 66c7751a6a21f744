import type { Isolation } from '../types.ts'

/** Root's own namespaces: ids are the host's, overlay's attributes are trusted.*, devices are made. */
export const namespaceIsolation: Isolation = {
  mode: 'namespace',
  overlayXattr: 'trusted',
  plans: () =>
    process.geteuid?.() === 0
      ? [{ map: ['identity'], idMapping: { kind: 'identity' } }]
      : { reason: 'this process is not root', remedy: 'run as root, or use --isolation=rootless' },
  explain: (operation, errno) => ({
    reason: `${operation}: ${errno}`,
    remedy:
      errno === 'EPERM' || errno === 'ENOSYS' || errno === 'EACCES'
        ? 'root lacks CAP_SYS_ADMIN here, or a filter forbids namespaces (a container?): run it with --privileged, or with --security-opt seccomp=unconfined --security-opt systempaths=unconfined for rootless isolation'
        : 'see the kernel log',
  }),
}
