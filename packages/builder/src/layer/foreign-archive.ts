import { Readable } from 'node:stream'
import { closeFd, openPath, OpenFlags, writeFully } from '@ts-oci/runtime'
import { extract } from 'tar-stream'
import { BuilderError, isTsOciError } from '../errors.ts'
import { toByteString } from '../byte-string.ts'
import { parsePaxInteger, parsePaxTime, XATTR_PREFIX } from './pax.ts'
import { createTarReader, type TarEntry } from './tar-reader.ts'
import type { ContentSource } from './types.ts'

/** An entry of somebody's archive, with its bytes in a file of ours. */
export interface ForeignEntry {
  readonly entry: TarEntry
  readonly content: ContentSource | undefined
}

/**
 * Reads an archive that a user gave (ADD). Contents go one after the other into `contentFile`, which must not exist.
 * `open` gives the plain tar from its beginning; it may be asked for twice. Throws OCI_ARCHIVE_INVALID.
 */
export async function readForeignArchive(
  open: () => AsyncIterable<Uint8Array>,
  contentFile: string,
): Promise<readonly ForeignEntry[]> {
  const fd = openPath(contentFile, OpenFlags.write | OpenFlags.create | OpenFlags.exclusive, 0o600)
  try {
    const read = await readWithTarStream(open(), fd, contentFile)
    return read.entries ?? (await readWithOwnReader(open(), fd, contentFile, read.writtenBytes))
  } finally {
    closeFd(fd)
  }
}

/** No entries: the archive holds something that tar-stream reads wrongly (names or attributes that are not UTF-8, sparse files). */
interface TarStreamResult {
  readonly entries: readonly ForeignEntry[] | undefined
  readonly writtenBytes: number
}

async function readWithTarStream(tar: AsyncIterable<Uint8Array>, fd: number, file: string): Promise<TarStreamResult> {
  const entries: ForeignEntry[] = []
  let offset = 0
  const parser = extract({ allowUnknownFormat: true } as object)
  const source = Readable.from(tar, { objectMode: false })
  let sourceError: Error | undefined
  source.on('error', (error) => {
    sourceError = error
    parser.destroy(error)
  })
  source.pipe(parser)
  try {
    for await (const stream of parser) {
      const entry = toTarEntry(stream.header as ForeignHeader)
      if (entry === undefined) return { entries: undefined, writtenBytes: offset }
      entries.push({ entry, content: entry.size > 0 ? { kind: 'range', file, offset } : undefined })
      for await (const piece of stream as AsyncIterable<Uint8Array>) {
        writeFully(fd, piece)
        offset += piece.length
      }
    }
    return { entries, writtenBytes: offset }
  } catch (cause) {
    if (sourceError !== undefined) throw sourceError
    if (isTsOciError(cause)) throw cause
    throw new BuilderError('OCI_ARCHIVE_INVALID', `the tar archive is damaged: ${(cause as Error).message}`, { cause })
  } finally {
    source.destroy()
    parser.destroy()
  }
}

const TYPES: Partial<Record<string, TarEntry['type']>> = {
  file: 'file',
  'contiguous-file': 'file',
  link: 'hardlink',
  symlink: 'symlink',
  directory: 'directory',
  'block-device': 'block',
  'character-device': 'character',
  fifo: 'fifo',
}

/** A header of tar-stream, with the member that its types do not name. */
interface ForeignHeader {
  readonly name: string
  readonly type?: string | null
  readonly linkname?: string | null
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly size?: number
  readonly mtime?: Date
  readonly devmajor?: number
  readonly devminor?: number
  readonly pax?: Record<string, string> | null
}

function toTarEntry(header: ForeignHeader): TarEntry | undefined {
  const pax = header.pax ?? {}
  const type = TYPES[String(header.type)]
  const texts = [header.name, header.linkname ?? '', ...Object.values(pax)]
  if (
    type === undefined ||
    texts.some((text) => text.includes('\ufffd')) ||
    Object.keys(pax).some((key) => key.startsWith('GNU.sparse.'))
  )
    return undefined
  // tar-stream leaves these three records to us.
  const time =
    pax['mtime'] === undefined
      ? { sec: Math.floor((header.mtime?.getTime() ?? 0) / 1000), nsec: 0 }
      : parsePaxTime(pax['mtime'])
  return {
    name: toByteString(header.name),
    type,
    mode: header.mode === undefined ? 0 : header.mode & 0o7777,
    uid: pax['uid'] === undefined ? (header.uid ?? 0) : parsePaxInteger(pax['uid'], 'uid'),
    gid: pax['gid'] === undefined ? (header.gid ?? 0) : parsePaxInteger(pax['gid'], 'gid'),
    size: type === 'file' ? (header.size ?? 0) : 0,
    mtimeSec: time.sec,
    mtimeNsec: time.nsec,
    link: toByteString(header.linkname ?? ''),
    devMajor: header.devmajor ?? 0,
    devMinor: header.devminor ?? 0,
    xattrs: xattrsOf(pax),
    dataOffset: 0,
  }
}

function xattrsOf(pax: Record<string, string>): ReadonlyMap<string, Uint8Array> | undefined {
  const keys = Object.keys(pax).filter((key) => key.startsWith(XATTR_PREFIX))
  return keys.length === 0
    ? undefined
    : new Map(keys.map((key) => [key.slice(XATTR_PREFIX.length), Buffer.from(pax[key]!, 'utf8')]))
}

async function readWithOwnReader(
  tar: AsyncIterable<Uint8Array>,
  fd: number,
  file: string,
  start: number,
): Promise<readonly ForeignEntry[]> {
  const entries: ForeignEntry[] = []
  let offset = start
  const reader = createTarReader(
    {
      entry: (entry) =>
        void entries.push({ entry, content: entry.size > 0 ? { kind: 'range', file, offset } : undefined }),
      data(piece) {
        writeFully(fd, piece)
        offset += piece.length
      },
    },
    'OCI_ARCHIVE_INVALID',
  )
  for await (const chunk of tar) reader.push(chunk)
  reader.end()
  return entries
}
