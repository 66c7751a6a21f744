import { RuntimeError } from '../errors.ts'
import { subordinateRemedy } from '../isolation/subordinate-ids.ts'
import type { IdMapping } from '../isolation/types.ts'
import type { ProcessSpec } from './types.ts'

/** How many ids there are inside: 0 … n - 1. */
export function mappedIds(mapping: IdMapping): { readonly uids: number; readonly gids: number } {
  if (mapping.kind === 'identity') return { uids: 2 ** 32 - 1, gids: 2 ** 32 - 1 }
  if (mapping.kind === 'single') return { uids: 1, gids: 1 }
  if (mapping.kind === 'shifted') return { uids: mapping.uidCount, gids: mapping.gidCount }
  return { uids: mapping.subUidCount + 1, gids: mapping.subGidCount + 1 }
}

/**
 * Refuses by name a user that the map does not have (OCI_RUNTIME_ID_UNAVAILABLE). With a single id the additional
 * groups of root are let go: the kernel denies setgroups, and root inside reads and writes all that this user may.
 */
export function mapUser(mapping: IdMapping, user: ProcessSpec['user'], stepName: string): ProcessSpec['user'] {
  const { uids, gids } = mappedIds(mapping)
  const additionalGids = mapping.kind === 'single' && user.uid === 0 ? [] : user.additionalGids
  const missing = [
    ...(user.uid < uids ? [] : [`user ${user.uid}`]),
    ...[user.gid, ...additionalGids].filter((gid) => gid >= gids).map((gid) => `group ${gid}`),
  ]
  if (missing.length === 0) return { ...user, additionalGids }
  throw new RuntimeError(
    'OCI_RUNTIME_ID_UNAVAILABLE',
    `${stepName}: there is no ${missing[0]} here, only ${uids === 1 ? 'id 0' : `ids 0 to ${Math.min(uids, gids) - 1}`}`,
    {
      hint: idsRemedy(mapping.kind),
      details: { uid: user.uid, gid: user.gid, additionalGids, uids, gids },
    },
  )
}

function idsRemedy(kind: IdMapping['kind']): string {
  if (kind === 'single') return subordinateRemedy()
  return kind === 'shifted'
    ? 'this container has no more ids: start it with more (podman: --uidmap 0:100000:131072 --gidmap 0:100000:131072)'
    : 'give your user a larger range in /etc/subuid and /etc/subgid'
}
