import { readFileSync } from 'node:fs'
import { findProgram } from '../../find-program.ts'
import { ownSubordinateRanges } from '../subordinate-ids.ts'
import type { LaunchPlan, Refusal } from '../types.ts'

/** How many ids root hands to a user namespace when it asks for one. */
const directCount = 65_536

/** A user namespace: ids by newuidmap and newgidmap when the user has subordinate ones, else its own id as root. */
export const overlayXattr = 'user'

export function plans(): readonly LaunchPlan[] {
  const uid = process.geteuid?.() ?? 0
  const gid = process.getegid?.() ?? 0
  const single: LaunchPlan = { map: ['single', String(uid), String(gid)], idMapping: { kind: 'single', uid, gid } }
  if (uid === 0) {
    const idMapping = {
      kind: 'subordinate',
      uid,
      gid,
      subUidStart: 1,
      subUidCount: directCount - 1,
      subGidStart: 1,
      subGidCount: directCount - 1,
    } as const
    return [{ map: ['direct', String(directCount)], idMapping }, single]
  }
  const ranges = ownSubordinateRanges()
  const newuidmap = findProgram('newuidmap')
  const newgidmap = findProgram('newgidmap')
  if (!ranges || newuidmap === undefined || newgidmap === undefined) return [single]
  const { uids, gids } = ranges
  return [
    {
      map: ['helper', newuidmap, newgidmap, ...[uid, gid, uids.start, uids.count, gids.start, gids.count].map(String)],
      idMapping: {
        kind: 'subordinate',
        uid,
        gid,
        subUidStart: uids.start,
        subUidCount: uids.count,
        subGidStart: gids.start,
        subGidCount: gids.count,
      },
    },
    single,
  ]
}

export function explain(operation: string, errno: string): Refusal {
  const reason = `${operation}: ${errno}`
  if (readSetting('/proc/sys/kernel/unprivileged_userns_clone') === '0')
    return { reason, remedy: 'sysctl -w kernel.unprivileged_userns_clone=1' }
  if (readSetting('/proc/sys/user/max_user_namespaces') === '0')
    return { reason, remedy: 'sysctl -w user.max_user_namespaces=15000' }
  if (readSetting('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return {
      reason,
      remedy:
        'AppArmor keeps users from namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile that grants userns to the launcher',
    }
  }
  if (errno === 'ENOSPC' || errno === 'EUSERS')
    return { reason, remedy: 'too many user namespaces are open: raise user.max_user_namespaces' }
  if (operation.startsWith('mount proc'))
    return {
      reason,
      remedy: 'the visible /proc is partly covered (a container): run it with --security-opt systempaths=unconfined',
    }
  return {
    reason,
    remedy:
      'user namespaces are forbidden here (a container?): run it with --security-opt seccomp=unconfined --security-opt systempaths=unconfined, or as root with --privileged',
  }
}

function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined // this kernel has no such setting
  }
}
