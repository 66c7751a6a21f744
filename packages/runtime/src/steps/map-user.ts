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
  if (missing.length > 0) throw refuseIds(mapping, missing[0]!, stepName)
  return user
}

/** The error for an id that there is not: `user 70000`, `group 70000`. */
export function refuseIds(mapping: IdMapping, missing: string, stepName: string): RuntimeError {
  const { uids, gids } = mappedIds(mapping)
  const count = Math.min(uids, gids)
  const known = count === ALL_IDS ? 'the one of its user' : `ids 0 to ${count - 1}`
  return new RuntimeError('OCI_RUNTIME_ID_UNAVAILABLE', `${stepName}: there is no ${missing} here, only ${known}`, {
    hint: idsRemedy(mapping.kind),
    details: { missing, uids, gids },
  })
}

function idsRemedy(kind: IdMapping['kind']): string {
  return kind === 'shifted'
    ? 'this container has no more ids: start it with more (podman: --uidmap 0:100000:131072 --gidmap 0:100000:131072)'
    : 'give your user a larger range in /etc/subuid and /etc/subgid'
}
