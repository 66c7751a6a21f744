import { readFileSync } from 'node:fs'
import { findProgram } from '../../find-program.ts'
import { shiftedRange } from '../shifted-ids.ts'
import { givesIds, refusalRemedy, securityModule } from '../place.ts'
import { ownSubordinateRanges } from '../subordinate-ids.ts'
import type { LaunchPlan, Refusal } from '../types.ts'

/**
 * A user namespace. As root, who may write maps, with ids that nobody else has; as another user with subordinate ids by
 * newuidmap and newgidmap; else with the user's own id as root.
 */
export const overlayXattr = 'user'

export function plans(): readonly LaunchPlan[] {
  const uid = process.geteuid?.() ?? 0
  const gid = process.getegid?.() ?? 0
  const single: LaunchPlan = { map: ['single', String(uid), String(gid)], idMapping: { kind: 'single', uid, gid } }
  if (uid === 0) return [...(givesIds() ? shiftedPlans() : []), single]
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

function shiftedPlans(): readonly LaunchPlan[] {
  const uids = shiftedRange(readFileSync('/proc/self/uid_map', 'latin1'))
  const gids = shiftedRange(readFileSync('/proc/self/gid_map', 'latin1'))
  if (uids === undefined || gids === undefined) return []
  return [
    {
      map: ['shifted', ...[uids.start, uids.count, uids.rest, gids.start, gids.count, gids.rest].map(String)],
      idMapping: {
        kind: 'shifted',
        uidStart: uids.start,
        uidCount: uids.count,
        gidStart: gids.start,
        gidCount: gids.count,
      },
    },
  ]
}

export function explain(operation: string, errno: string): Refusal {
  const reason = `${operation}: ${errno}`
  // A filter's answer: it comes before any setting of the kernel is asked.
  if (errno === 'ENOSYS') return { reason, remedy: refusalRemedy(errno) }
  if (readSetting('/proc/sys/kernel/unprivileged_userns_clone') === '0')
    return { reason, remedy: 'sysctl -w kernel.unprivileged_userns_clone=1' }
  if (readSetting('/proc/sys/user/max_user_namespaces') === '0')
    return { reason, remedy: 'sysctl -w user.max_user_namespaces=15000' }
  // It holds for what no profile confines; under one it is the profile that refuses.
  if (readSetting('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1' && securityModule() === undefined) {
    return {
      reason,
      remedy:
        'AppArmor keeps users from namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile that grants userns to the launcher',
    }
  }
  if (errno === 'ENOSPC' || errno === 'EUSERS')
    return { reason, remedy: 'too many user namespaces are open: raise user.max_user_namespaces' }
  return { reason, remedy: refusalRemedy(errno) }
}

function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined // this kernel has no such setting
  }
}
