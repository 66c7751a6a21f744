import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { findProgram } from '../find-program.ts'
import { hasOneId } from './place.ts'

export interface SubordinateRange {
  readonly start: number
  readonly count: number
}

/** How a user who has a single id gets more: only what is missing on this machine is named. */
export function subordinateRemedy(): string {
  if (hasOneId())
    return 'this is root of a user namespace with one id: run it outside of that, as the user who made it, or give it more (unshare --map-auto)'
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
