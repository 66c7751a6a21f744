import { existsSync, lstatSync, readFileSync, readlinkSync, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import { unusable } from '../base/disk-errors.ts'

const STICKY = 0o1000
/** What the kernel shows for an owner that a user namespace does not map (/proc/sys/kernel/overflowuid). */
const OVERFLOW_ID = 65_534
/** As the kernel (path_resolution(7)). */
const MAX_LINKS = 40

/**
 * Whoever may write in a directory above the store can put another one in its place while we work in it, whatever the
 * store's own mode. Walks from `/` down, so that each directory is known to be stable before a name in it is looked at;
 * links are followed where they cannot be exchanged.
 * @param isTrusted the caller vouches for the directories above (`TSBUILD_TRUST_PARENTS`)
 * @returns the path without links; what does not exist yet is appended as it was named
 * @throws OCI_STORE_UNUSABLE
 */
export function resolveParents(root: string, isTrusted: boolean): string {
  const waiting = root.split('/').filter((name) => name !== '')
  let current = '/'
  let above = isTrusted ? undefined : checkParent(root, '/', lstatSync('/'), undefined)
  for (let links = 0; waiting.length > 0;) {
    const name = waiting.shift()!
    if (name === '.' || name === '..') {
      current = name === '.' ? current : dirname(current)
      continue
    }
    const path = join(current, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return join(path, ...waiting)
    if (stat.isSymbolicLink()) {
      if (!isTrusted) checkPlanted(root, path, stat, above)
      if (++links > MAX_LINKS) throw Object.assign(new Error(`ELOOP: too many links, ${root}`), { code: 'ELOOP' })
      const target = readlinkSync(path)
      if (target.startsWith('/')) current = '/'
      waiting.unshift(...target.split('/').filter((part) => part !== ''))
      continue
    }
    if (waiting.length > 0 && !isTrusted) above = checkParent(root, path, stat, above)
    current = path
  }
  return current
}

/** True when somebody else than the owner and root may write: all, or a group that is neither root's nor one of ours. */
export function mayOthersWrite({ mode, gid }: Stats): boolean {
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && !isOwnGroup(gid))
}

function isOwnGroup(gid: number): boolean {
  return gid === 0 || gid === process.getegid?.() || process.getgroups?.().includes(gid) === true
}

function checkParent(root: string, path: string, stat: Stats, above: Stats | undefined): Stats {
  if (!stat.isDirectory()) return stat
  checkPlanted(root, path, stat, above)
  // An ordinary user has been lent the place by its owner; for root that would be a way up.
  if (process.geteuid?.() === 0 && !isTrustedOwner(stat.uid)) throw foreign(root, path, stat)
  if ((stat.mode & STICKY) === 0 && mayOthersWrite(stat)) {
    throw unusable(
      root,
      `others may write to ${path}, so they could put another directory in its place`,
      undefined,
      `chmod go-w ${JSON.stringify(path)}, or set TSBUILD_HOME, or --store, elsewhere; TSBUILD_TRUST_PARENTS=1 where nobody else can reach it, as in a volume of one container`,
    )
  }
  return stat
}

/** In a sticky directory (`/tmp`) anybody may make names: only those of root and of this user count. */
function checkPlanted(root: string, path: string, stat: Stats, above: Stats | undefined): void {
  const isOpen = above !== undefined && mayOthersWrite(above)
  if (isOpen && stat.uid !== process.geteuid?.() && !isTrustedOwner(stat.uid)) throw foreign(root, path, stat)
}

function foreign(root: string, path: string, { uid }: Stats): Error {
  return unusable(
    root,
    `${path} above it belongs to user ${uid}, who could put another directory in its place`,
    undefined,
    'set TSBUILD_HOME, or --store, to a path that is yours; TSBUILD_TRUST_PARENTS=1 where that user is trusted',
  )
}

function isTrustedOwner(uid: number): boolean {
  if (uid === 0 || uid === process.geteuid?.()) return true
  if (uid === OVERFLOW_ID && isUserNamespace()) return true
  // The owner of a volume on the host, who is nobody in here: the container is the boundary.
  return isContainer() && !hasAccount(uid)
}

/** True where the ids of this process are not all ids of the machine: the machine's root shows as the overflow id. */
function isUserNamespace(): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'))
}

function isContainer(): boolean {
  return (
    existsSync('/.dockerenv') ||
    existsSync('/run/.containerenv') ||
    process.env['KUBERNETES_SERVICE_HOST'] !== undefined
  )
}

function hasAccount(uid: number): boolean {
  if (uid === process.getuid?.()) return true
  const accounts = readFileSync('/etc/passwd', 'latin1')
  return accounts.split('\n').some((line) => line.split(':')[2] === String(uid))
}
