import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { RuntimeError } from './errors.ts'
import { findProgram } from './find-program.ts'
import type { IdMapping, ProcessSpec } from './types.ts'

export interface SubordinateRange {
  readonly start: number
  readonly count: number
}

/** How a user who has a single id gets more: only what is missing on this machine is named. */
export function subordinateRemedy(): string {
  const steps: string[] = []
  if (findProgram('newuidmap') === undefined || findProgram('newgidmap') === undefined) {
    steps.push('install newuidmap and newgidmap (Debian, Ubuntu: uidmap; Fedora: shadow-utils)')
  }
  if (userName() === undefined) steps.push(`give the user id ${process.getuid?.() ?? 0} a name in /etc/passwd`)
  if (ownSubordinateRanges() === undefined) {
    const range = freeSubordinateRange(readOrEmpty('/etc/subuid'), readOrEmpty('/etc/subgid'))
    steps.push(
      `give your user subordinate ids: usermod --add-subuids ${range} --add-subgids ${range} ${userName() ?? 'USER'}`,
    )
  }
  return steps.length === 0
    ? 'newuidmap refused the ids of /etc/subuid and /etc/subgid: is it set-uid?'
    : steps.join('; ')
}

/** The first 65536 ids behind all that these files give away: with those of another user one could enter what is his. */
export function freeSubordinateRange(...texts: readonly string[]): string {
  const ends = texts
    .flatMap((text) => text.split('\n'))
    .map((line) => {
      const [, start, count] = line.trim().split(':')
      return Number(start) + Number(count)
    })
  const first = Math.max(100_000, ...ends.filter((end) => Number.isSafeInteger(end)))
  return `${first}-${first + 65_535}`
}

/** The user's largest range in /etc/subuid or /etc/subgid; lines name the user or its number. Source: subuid(5). */
export function subordinateRange(text: string, name: string | undefined, uid: number): SubordinateRange | undefined {
  const ranges = text.split('\n').flatMap((line) => {
    const [owner, start, count, ...more] = line.trim().split(':')
    const range = { start: Number(start), count: Number(count) }
    const isOurs = owner !== '' && (owner === name || owner === String(uid))
    return isOurs && more.length === 0 && Number.isSafeInteger(range.start) && range.start > 0 && range.count > 0
      ? [range]
      : []
  })
  return ranges.sort((a, b) => b.count - a.count)[0]
}

/** The ranges of the user who runs this process, when there are both. */
export function ownSubordinateRanges():
  | { readonly uids: SubordinateRange; readonly gids: SubordinateRange }
  | undefined {
  const uid = process.getuid?.() ?? 0
  const name = userName()
  const uids = subordinateRange(readOrEmpty('/etc/subuid'), name, uid)
  const gids = subordinateRange(readOrEmpty('/etc/subgid'), name, uid)
  return uids && gids && { uids, gids }
}

function userName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined // no entry in the user database: lines by number still count
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'EACCES')
      return ''
    throw error
  }
}

/** How many ids there are inside: 0 … n - 1. */
export function mappedIds(mapping: IdMapping): { readonly uids: number; readonly gids: number } {
  if (mapping.kind === 'identity') return { uids: 2 ** 32 - 1, gids: 2 ** 32 - 1 }
  if (mapping.kind === 'single') return { uids: 1, gids: 1 }
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
      hint:
        mapping.kind === 'single'
          ? subordinateRemedy()
          : `give your user a larger range in /etc/subuid and /etc/subgid`,
      details: { uid: user.uid, gid: user.gid, additionalGids, uids, gids },
    },
  )
}
