import type { ViewEntry, View } from '../../view/types.ts'
import { BuilderError } from '../../base/errors.ts'

/** Numeric ids of a step, and its home directory. */
export interface ResolvedUser {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
  readonly home: string
}

interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

/** As runc has it. */
const MAX_ID = 2_147_483_647

/** Enough for every real `/etc/passwd`; a larger one is an attack on memory. */
const MAX_DATABASE_BYTES = 8 * 1024 * 1024

/**
 * Resolves USER (`name`, `uid`, with or without `:group`) against the image, as containerd does for BuildKit:
 * an unknown name is an error, an unknown number stands for itself with group 0.
 */
export async function resolveUser(
  user: string,
  root: View,
  readFile: (entry: ViewEntry, maxBytes: number) => Promise<Uint8Array>,
): Promise<ResolvedUser> {
  const read = async (path: string): Promise<string[]> => {
    const entry = root.lookup(path, { followLast: true })
    if (entry?.type !== 'file') return []
    return Buffer.from(await readFile(entry, MAX_DATABASE_BYTES))
      .toString('latin1')
      .split('\n')
  }
  const [name, group] = splitOnce(user)
  const accounts = (await read('etc/passwd')).flatMap(parseAccount)
  const pair = idPair(name, group)
  const number = pair?.uid ?? (name === '' ? 0 : idOf(name))
  // A number is never taken for a name, though an account may be called so.
  const account = accounts.find((candidate) =>
    number === undefined ? candidate.name === name : candidate.uid === number,
  )
  const uid = account?.uid ?? number
  if (uid === undefined)
    throw userError(
      `unable to find user ${name}: ${hasFile(root, 'etc/passwd') ? 'no matching entries in passwd file' : 'invalid argument'}`,
    )
  const groups = (await read('etc/group')).flatMap(parseGroup)
  let gid = account?.gid ?? 0
  if (group !== '') {
    const wanted = pair?.gid ?? idOf(group) ?? groups.find((candidate) => candidate.name === group)?.gid
    if (wanted === undefined) throw userError(`unable to find group ${group}: no matching entries in group file`)
    gid = wanted
  }
  // Supplementary groups are those that list the account; with an explicit group there are none but it.
  const memberOf =
    group === '' && account
      ? groups.filter((candidate) => candidate.members.includes(account.name)).map((candidate) => candidate.gid)
      : []
  const additionalGids = [...new Set([gid, ...memberOf])]
  // To the kernel a user of all ones is "stay who you are", which is root.
  if ([uid, ...additionalGids].some((id) => id < 0 || id > MAX_ID))
    throw userError(`uids and gids must be in range 0-${MAX_ID}`)
  return { uid, gid, additionalGids, home: account?.home || '/' }
}

// Where there is no file at all, BuildKit gives the reason of a file that could not be read.
function hasFile(root: View, path: string): boolean {
  return root.lookup(path, { followLast: true })?.type === 'file'
}

function splitOnce(text: string): readonly [string, string] {
  const at = text.indexOf(':')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** Both given as numbers: the databases are not asked, and `root` counts as one. */
function idPair(name: string, group: string): { uid: number; gid: number } | undefined {
  const [uid, gid] = [name, group].map((text) => (text === 'root' ? 0 : idOf(text)))
  return uid === undefined || gid === undefined ? undefined : { uid, gid }
}

function idOf(text: string): number | undefined {
  return /^[+-]?\d+$/.test(text) ? Number(text) : undefined
}

// A line that is no account has no name that USER could mean, or a number that does not read: that counts as 0, as BuildKit has it.
function parseAccount(line: string): Account[] {
  const [name = '', , uid = '', gid = '', , home = ''] = line.trim().split(':')
  return line.trim() === '' ? [] : [{ name, uid: idOf(uid) ?? 0, gid: idOf(gid) ?? 0, home }]
}

function parseGroup(line: string): { name: string; gid: number; members: string[] }[] {
  const [name = '', , gid = '', members = ''] = line.trim().split(':')
  return line.trim() === '' ? [] : [{ name, gid: idOf(gid) ?? 0, members: members === '' ? [] : members.split(',') }]
}

function userError(message: string): BuilderError {
  return new BuilderError('OCI_STEP_FAILED', message)
}
