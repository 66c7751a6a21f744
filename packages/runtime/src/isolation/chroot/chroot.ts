import { landlockVersion } from '../../landlock.ts'
import {
  chrootRemedy,
  devicesRemedy,
  hasOneId,
  isInUserNamespace,
  isRootWhole,
  makesDevices,
  wholeRootRemedy,
} from '../place.ts'
import { isRefusal } from '../types.ts'
import type { Failure, LaunchPlan, Refusal, StepRoots } from '../types.ts'

/**
 * No namespaces at all: a step is locked into a directory, by chroot and Landlock. A confinement of builds inside a container,
 * which is the boundary.
 */
export const overlayXattr = 'trusted'

/** Nothing can be mounted. */
export const roots: StepRoots = 'directory'

/** From this version on Landlock keeps signals and abstract sockets inside: Linux 6.12. */
const SCOPED = 6

export function notice(): string {
  const version = landlockVersion()
  const limits =
    version === 0
      ? '; without Landlock here a step that means harm leaves its root'
      : version < SCOPED
        ? '; before Linux 6.12 a step reaches abstract sockets of the container'
        : ''
  return `isolation chroot: steps are confined, but the container is the boundary${limits}`
}

/** It stands in for namespaces where a container gives none at all: what failed otherwise has another remedy. */
export function refusedAfter(failures: readonly Failure[]): Refusal | undefined {
  const isForbidden = ({ operation, errno }: Failure): boolean =>
    operation.startsWith('clone3') && (errno === 'EPERM' || errno === 'ENOSYS')
  const lacksAll = failures.length > 0 && failures.every(isForbidden)
  const noRoot = plans()
  if (isRefusal(noRoot)) return { ...noRoot, ...(lacksAll && isRoot() && landlockVersion() > 0 && { isLeast: true }) }
  if (!lacksAll)
    return {
      reason: 'namespaces are not what is forbidden here',
      remedy: 'see what the others say; --isolation=chroot takes it all the same',
    }
  if (landlockVersion() === 0)
    return {
      reason: 'this kernel has no Landlock, so a step that means harm leaves its root',
      remedy:
        'a kernel with Landlock (5.13, in its list of security modules), or --isolation=chroot to take it as it is',
    }
  return undefined
}

export function plans(): readonly LaunchPlan[] | Refusal {
  if (!isRoot()) return { reason: 'this process is not root', remedy: chrootRemedy() }
  if (hasOneId()) return { reason: 'this is root of a user namespace with one id', remedy: 'use --isolation=rootless' }
  if (!isRootWhole())
    return { reason: 'the root of this container lacks capabilities that steps need', remedy: wholeRootRemedy() }
  if (isInUserNamespace())
    return { reason: 'this is root of a user namespace, who makes no devices', remedy: 'use --isolation=rootless' }
  if (!makesDevices())
    return { reason: 'the root of this container makes no devices (CAP_MKNOD)', remedy: devicesRemedy() }
  return [{ map: ['chroot'], idMapping: { kind: 'identity' } }]
}

function isRoot(): boolean {
  return process.geteuid?.() === 0
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
