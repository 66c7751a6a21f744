import type { LaunchPlan, Refusal, StepRoots } from '../types.ts'

/**
 * No namespaces at all: a step is locked into a directory, by chroot and Landlock. A confinement of builds inside a container,
 * which is the boundary.
 */
export const overlayXattr = 'trusted'

/** Nothing can be mounted. */
export const roots: StepRoots = 'directory'

export function plans(): readonly LaunchPlan[] | Refusal {
  return process.geteuid?.() === 0
    ? [{ map: ['chroot'], idMapping: { kind: 'identity' } }]
    : { reason: 'this process is not root', remedy: 'run as root in the container (docker run -u 0)' }
}

export function explain(operation: string, errno: string): Refusal {
  const reason = `${operation}: ${errno}`
  if (operation.includes('already'))
    return { reason, remedy: 'a build inside a step of this isolation is not possible: run it outside of RUN' }
  return {
    reason,
    remedy:
      errno === 'EPERM' || errno === 'EACCES'
        ? 'the container lacks one of the default capabilities of Docker, SYS_CHROOT for one: run it without --cap-drop'
        : 'see the kernel log',
  }
}
