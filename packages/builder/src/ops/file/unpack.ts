import { join } from 'node:path/posix'
import { fromByteString, type ByteString } from '../../byte-string.ts'
import { BuilderError } from '../../errors.ts'
import { contentChunks } from '../../layer/content.ts'
import { decompress, detectCompression, MAGIC_BYTES } from '../../layer/decompress.ts'
import { makeEntry } from '../../layer/entry.ts'
import { readForeignArchive, type ForeignEntry } from '../../layer/foreign-archive.ts'
import { BLOCK_BYTES, readHeader } from '../../layer/header.ts'
import { baseName, joinPath, parentPath } from '../../layer/paths.ts'
import { newLinkKey } from '../../layer/tree.ts'
import type { ViewEntry } from '../../layer/types.ts'
import type { DirectoryOptions, FileTarget } from './target.ts'
import type { Ids } from './owner.ts'

export interface UnpackOptions extends Omit<DirectoryOptions, 'mode'> {
  readonly temporaryDirectory: string
  readonly signal: AbortSignal | undefined
}

let unpacked = 0

/**
 * Unpacks a file into a directory when it is a tar, plain or compressed, whatever its name says; answers false when it
 * is none (then it is copied like any other). Bytes of its files lie in the temporary directory afterwards.
 * Throws OCI_ARCHIVE_INVALID when it begins as an archive and is damaged further on.
 */
export async function unpackArchive(
  source: ViewEntry,
  target: FileTarget,
  destination: ByteString,
  options: UnpackOptions,
): Promise<boolean> {
  if (source.type !== 'file' || source.size === 0) return false
  const open = await findTar(source)
  if (open === undefined) return false
  target.makeDirectories(destination, { ...options, mode: 0o755 })
  const entries = await readForeignArchive(
    open,
    join(options.temporaryDirectory, `unpacked-${process.pid}-${++unpacked}`),
  )
  options.signal?.throwIfAborted()
  placeEntries(entries, target, destination, options.owner)
  return true
}

/** Opens the plain tar in a file; undefined when its first block is no header of one. */
async function findTar(source: ViewEntry): Promise<(() => AsyncIterable<Buffer>) | undefined> {
  const start = firstBytes(source, MAGIC_BYTES)
  const compression = detectCompression(start)
  const open = (): AsyncIterable<Buffer> => decompress(contentChunks(source), compression)
  try {
    return (await beginsWithHeader(open())) ? open : undefined
  } catch (error) {
    // BuildKit copies what it cannot decompress, an xz archive where there is no xz included.
    if (error instanceof BuilderError && error.code === 'OCI_ARCHIVE_INVALID') return undefined
    if (error instanceof BuilderError && error.code === 'OCI_COMPRESSION_UNSUPPORTED' && compression === 'xz')
      return undefined
    throw error
  }
}

function firstBytes(source: ViewEntry, length: number): Buffer {
  for (const chunk of contentChunks(source)) return Buffer.from(chunk.subarray(0, length))
  return Buffer.alloc(0)
}

async function beginsWithHeader(tar: AsyncIterable<Buffer>): Promise<boolean> {
  const block = Buffer.alloc(BLOCK_BYTES)
  let filled = 0
  for await (const chunk of tar) {
    filled += chunk.copy(block, filled)
    if (filled === BLOCK_BYTES) break
  }
  if (filled < BLOCK_BYTES || block.every((byte) => byte === 0)) return false
  try {
    readHeader(block, 0)
    return true
  } catch {
    return false
  }
}

/** As `tar -x` in a chroot at the destination: what stands in the way is replaced, two directories become one. */
function placeEntries(
  entries: readonly ForeignEntry[],
  target: FileTarget,
  destination: ByteString,
  owner: Ids | undefined,
): void {
  const directories = new Map<ByteString, ViewEntry>()
  for (const { entry: raw, content } of entries) {
    const name = cleanMember(raw.name)
    if (name === '') continue
    const parent = target.resolveBelow(destination, parentPath(name))
    target.makeDirectories(parent, { mode: 0o755, owner: undefined, time: undefined, isImplied: true })
    const path = joinPath(parent, baseName(name))
    const standing = target.entry(path)
    const isMerge = standing?.type === 'directory' && raw.type === 'directory'
    if (standing !== undefined && !isMerge) target.remove(path)
    if (raw.type === 'hardlink') {
      placeLink(target, path, target.resolveBelow(destination, cleanMember(raw.link)))
      continue
    }
    const isDevice = raw.type === 'character' || raw.type === 'block'
    // Times before the epoch become the epoch, as moby's archive code bounds them.
    const isBeforeEpoch = raw.mtimeSec < 0
    const entry = makeEntry({
      path,
      type: raw.type,
      mode: raw.type === 'symlink' ? 0o777 : raw.mode,
      uid: owner?.uid ?? raw.uid,
      gid: owner?.gid ?? raw.gid,
      size: raw.size,
      mtimeSec: isBeforeEpoch ? 0 : raw.mtimeSec,
      mtimeNsec: isBeforeEpoch ? 0 : raw.mtimeNsec,
      link: raw.type === 'symlink' ? raw.link : undefined,
      devMajor: isDevice ? raw.devMajor : undefined,
      devMinor: isDevice ? raw.devMinor : undefined,
      xattrs: raw.xattrs,
      content,
    })
    // A directory that is there already is no news to its parent.
    if (isMerge) target.update(entry)
    else target.put(entry)
    if (raw.type === 'directory') directories.set(path, entry)
  }
  // Last, since what came into them has set their times.
  for (const [path, entry] of directories) {
    const standing = target.entry(path)
    if (standing?.type === 'directory')
      target.update({ ...standing, mtimeSec: entry.mtimeSec, mtimeNsec: entry.mtimeNsec })
  }
}

function placeLink(target: FileTarget, path: ByteString, to: ByteString): void {
  const file = target.entry(to)
  if (file === undefined || file.type === 'directory')
    throw invalid(path, `is a hard link to "${fromByteString(to)}", which is no file`)
  const linkKey = file.linkKey ?? newLinkKey()
  if (file.linkKey === undefined) target.update({ ...file, linkKey })
  target.put({ ...file, path, linkKey })
}

/** A member's path below the destination. One that climbs out is an attack. */
function cleanMember(name: ByteString): ByteString {
  const kept: string[] = []
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') kept.push(part)
    else if (kept.pop() === undefined && !name.startsWith('/'))
      throw new BuilderError('OCI_ARCHIVE_INVALID', `invalid entry name "${fromByteString(name)}"`, {
        hint: "the archive's entry leads out of the directory that it is unpacked into",
      })
  }
  return kept.join('/')
}

function invalid(path: ByteString, why: string): BuilderError {
  return new BuilderError('OCI_ARCHIVE_INVALID', `the archive's entry "${fromByteString(path)}" ${why}`)
}
