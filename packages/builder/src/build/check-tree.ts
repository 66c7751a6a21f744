import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync } from 'node:fs'
import { localPath } from '@ts-oci/runtime'
import type { LayerEntry, LayerTable } from '../view/types.ts'

const CHUNK_BYTES = 1 << 20

/**
 * What of a tree is not what the table of its layer says: an entry that is missing or of another type or size, and, where the
 * table has digests, a file with other bytes. Of whiteouts, and of owners, which a kind of isolation may record elsewhere, nothing is asked.
 * @param root directory of the tree
 */
export function checkTree(root: string, table: LayerTable): string | undefined {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (const entry of table.entries) {
    const problem = unlessForeign(() => checkEntry(root, entry, buffer))
    if (problem !== undefined) return `${printable(entry.path)} ${problem}`
  }
  return undefined
}

/** As an ordinary user, of files with other owners only what anybody may see is judged. */
function unlessForeign(check: () => string | undefined): string | undefined {
  try {
    return check()
  } catch (error) {
    if (['EACCES', 'EPERM'].includes(String((error as { code?: unknown }).code))) return undefined
    throw error
  }
}

function checkEntry(root: string, entry: LayerEntry, buffer: Buffer): string | undefined {
  if (entry.type === 'whiteout' || entry.type === 'opaque' || entry.path === '' || entry.isTimeOnly === true)
    return undefined
  // Names are bytes, one in each char.
  const path = Buffer.concat([Buffer.from(`${localPath(root)}/`), Buffer.from(entry.path, 'latin1')])
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 'is missing'
  if (entry.type === 'directory') return stat.isDirectory() ? undefined : 'is no directory'
  if (entry.type === 'symlink') {
    if (!stat.isSymbolicLink()) return 'is no symbolic link'
    return readlinkSync(path, 'latin1') === entry.link ? undefined : 'leads elsewhere'
  }
  if (entry.type !== 'file') return undefined
  if (!stat.isFile()) return 'is no file'
  if (stat.size !== entry.size) return `has ${stat.size} bytes, not ${entry.size}`
  if (entry.contentDigest === undefined) return undefined
  return digestOfFile(path, buffer) === entry.contentDigest ? undefined : 'has other bytes'
}

/** `sha256:…` of a file that is no link. */
export function digestOfFile(path: string | Buffer, buffer: Buffer = Buffer.allocUnsafe(CHUNK_BYTES)): string {
  const hash = createHash('sha256')
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    fstatSync(fd)
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer))
      hash.update(buffer.subarray(0, count))
  } finally {
    closeSync(fd)
  }
  return `sha256:${hash.digest('hex')}`
}

function printable(path: string): string {
  return JSON.stringify(Buffer.from(path, 'latin1').toString('utf8'))
}
