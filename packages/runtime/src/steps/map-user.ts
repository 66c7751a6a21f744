import { RuntimeError } from '../errors.ts'
import type { IdMapping } from '../isolation/types.ts'
import type { ProcessSpec } from './types.ts'

const ALL_IDS = 2 ** 32 - 1

/** How many ids there are inside: 0 … n - 1. With a single one a supervisor answers for all the others. */
export function mappedIds(mapping: IdMapping): { readonly uids: number; readonly gids: number } {
  if (mapping.kind === 'identity' || mapping.kind === 'single') return { uids: ALL_IDS, gids: ALL_IDS }
  if (mapping.kind === 'shifted') return { uids: mapping.uidCount, gids: mapping.gidCount }
  return { uids: mapping.subUidCount + 1, gids: mapping.subGidCount + 1 }
}

/** Refuses by name a user that the map does not have (OCI_RUNTIME_ID_UNAVAILABLE). */
export function mapUser(mapping: IdMapping, user: ProcessSpec['user'], stepName: string): ProcessSpec['user'] {
  const { uids, gids } = mappedIds(mapping)
  // Nor what is no id at all: written as 32 bits NaN would be root.
  const isId = (id: number, count: number): boolean => Number.isInteger(id) && id >= 0 && id < count
  const missing = [
    ...(isId(user.uid, uids) ? [] : [`user ${user.uid}`]),
    ...[user.gid, ...user.additionalGids].filter((gid) => !isId(gid, gids)).map((gid) => `group ${gid}`),
  ]
  if (missing.length === 0) return user
  throw new RuntimeError(
    'OCI_RUNTIME_ID_UNAVAILABLE',
    `${stepName}: there is no ${missing[0]} here, only ids 0 to ${Math.min(uids, gids) - 1}`,
    {
      hint: idsRemedy(mapping.kind),
      details: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids, uids, gids },
    },
  )
}

function idsRemedy(kind: IdMapping['kind']): string {
  return kind === 'shifted'
    ? 'this container has no more ids: start it with more (podman: --uidmap 0:100000:131072 --gidmap 0:100000:131072)'
    : 'give your user a larger range in /etc/subuid and /etc/subgid'
}
