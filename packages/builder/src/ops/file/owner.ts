import { fromByteString } from '../../base/byte-string.ts'
import { BuilderError } from '../../base/errors.ts'
import type { Ids } from '../../view/file-target.ts'
import type { View, ViewEntry } from '../../view/types.ts'
import type { Owner, OwnerId } from '../../graph/op-specs.ts'

/** Reads at most `maxBytes` of a file that a view names. */
export type ReadFile = (entry: ViewEntry, maxBytes: number) => Promise<Uint8Array>

const MAX_FILE_BYTES = 10 << 20

/**
 * The numbers of an owner. A name that `/etc/passwd` or `/etc/group` does not know, or where there is no such file, is
 * 0, without an error (BuildKit). A user alone brings the group: its primary one, or its own number.
 */
export async function resolveOwner(
  owner: Owner | undefined,
  viewOf: (input: number) => View,
  readFile: ReadFile,
): Promise<Ids | undefined> {
  if (owner === undefined) return undefined
  const user = owner.user === undefined ? undefined : await findUser(owner.user, viewOf, readFile)
  const gid = owner.group === undefined ? undefined : await findGroup(owner.group, viewOf, readFile)
  return { uid: user?.uid ?? 0, gid: gid ?? user?.gid ?? 0 }
}

async function findUser(user: OwnerId, viewOf: (input: number) => View, readFile: ReadFile): Promise<Ids | undefined> {
  if ('id' in user) return { uid: settable(user.id), gid: settable(user.id) }
  requireInput(user.input)
  const fields = await findLine('etc/passwd', user.name, viewOf(user.input), readFile)
  return fields === undefined ? undefined : { uid: toId(fields[2]), gid: toId(fields[3]) }
}

/** Undefined leaves the user's group in place, as BuildKit does for a name that it does not find. */
async function findGroup(
  group: OwnerId,
  viewOf: (input: number) => View,
  readFile: ReadFile,
): Promise<number | undefined> {
  if ('id' in group) return settable(group.id)
  requireInput(group.input)
  const fields = await findLine('etc/group', group.name, viewOf(group.input), readFile)
  return fields === undefined ? undefined : toId(fields[2])
}

/** For chown(2) this number means "leave it as it is", and what is made belongs to root. */
const UNCHANGED = 0xffff_ffff

function settable(id: number): number {
  return id === UNCHANGED ? 0 : id
}

// Names are looked up below the action; on scratch there is nothing below the first one, nor below one with --link.
function requireInput(input: number): void {
  if (input < 0)
    throw new BuilderError('OCI_COPY_INVALID', `invalid user index: ${input}`, {
      hint: 'write the owner as a number: with --link, or as the first on scratch, there is no /etc/passwd to find a name in',
    })
}

async function findLine(
  path: string,
  name: string,
  view: View,
  readFile: ReadFile,
): Promise<readonly string[] | undefined> {
  const entry = view.lookup(path)
  if (entry === undefined) return undefined
  if (entry.type !== 'file') throw new BuilderError('OCI_COPY_INVALID', `/${path} is not a regular file`)
  if (entry.size > MAX_FILE_BYTES)
    throw new BuilderError('OCI_COPY_INVALID', `"/${path}" exceeds ${MAX_FILE_BYTES} bytes`)
  const text = fromByteString(Buffer.from(await readFile(entry, MAX_FILE_BYTES)).toString('latin1'))
  for (const line of text.split('\n')) {
    const fields = line.trim().split(':')
    if (fields[0] === name && fields.length > 1) return fields
  }
  return undefined
}

function toId(text: string | undefined): number {
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : 0
}
