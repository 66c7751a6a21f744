import { RuntimeError } from '../errors.ts'
import type { IdMapping } from '../isolation/types.ts'
import { mappedIds, refuseIds } from './map-user.ts'
import type { ProcessSpec, StepSpec } from './types.ts'

/** Ids that whoever started the executor has outside, and keeps inside. */
export interface OwnIds {
  readonly uid: number
  readonly gid: number
}

/** The ids that a step keeps; undefined where nothing is otherwise than for other steps. @throws OCI_RUNTIME_UNSUPPORTED */
export function keptIds(
  mapping: IdMapping,
  { keepsIds, name }: Pick<StepSpec, 'keepsIds' | 'name'>,
): OwnIds | undefined {
  if (keepsIds !== true || mapping.kind === 'identity') return undefined
  if (mapping.kind === 'shifted')
    throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `${name}: root of a container cannot keep its own ids inside`, {
      hint: 'there steps are kept apart from the root of the container by ids that it does not have: let ids be "root"',
    })
  return { uid: mapping.uid, gid: mapping.gid }
}

/** What ids of a step that keeps `own` are in the executor's namespace. Throws OCI_RUNTIME_ID_UNAVAILABLE for those that it lacks. */
export function outsideUser(
  mapping: IdMapping,
  own: OwnIds,
  user: ProcessSpec['user'],
  stepName: string,
): ProcessSpec['user'] {
  const { uids, gids } = mapping.kind === 'single' ? { uids: 1, gids: 1 } : mappedIds(mapping)
  const uid = outsideId(user.uid, own.uid, uids)
  const groups = [user.gid, ...user.additionalGids].map((gid) => outsideId(gid, own.gid, gids))
  const missing = [
    ...(uid === undefined ? [`user ${user.uid}`] : []),
    ...[user.gid, ...user.additionalGids]
      .filter((_, index) => groups[index] === undefined)
      .map((gid) => `group ${gid}`),
  ]
  if (missing.length > 0) throw refuseIds(mapping, missing[0]!, stepName)
  const [gid = 0, ...additionalGids] = groups.map((id) => id ?? 0)
  // With one group there is none to add, and the kernel lets none be taken away.
  return { uid: uid ?? 0, gid, additionalGids: mapping.kind === 'single' ? [] : additionalGids }
}

/** native/launcher/own-ids.c has the other way. */
function outsideId(id: number, own: number, count: number): number | undefined {
  if (id === own) return 0
  const outside = id < own ? id + 1 : id
  return Number.isInteger(id) && id >= 0 && outside < count ? outside : undefined
}
