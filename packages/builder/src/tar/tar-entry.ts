import type { ByteString } from '../base/byte-string.ts'
import { parsePaxInteger, parsePaxTime, XATTR_PREFIX, type PaxRecords } from './pax.ts'
import { toId, toSize, type RawHeader } from './tar-header.ts'
import type { ContentSource, EntryType, FileAttributes, SparseMap } from '../view/types.ts'

/** One entry of a tar as it is written there: names are neither cleaned nor checked. */
export interface TarEntry extends FileAttributes {
  readonly name: ByteString
  readonly type: Exclude<EntryType, 'whiteout' | 'opaque'>
  readonly link: ByteString
  readonly devMajor: number
  readonly devMinor: number
  readonly xattrs: ReadonlyMap<string, Uint8Array> | undefined
  /** Where the data begins, counted from the tar's first byte. */
  readonly dataOffset: number
  /** Of a sparse file: where the data belongs. */
  readonly map?: SparseMap | undefined
}

/** What the headers before an entry's own say about it. */
export interface EntryRecords {
  readonly pax: PaxRecords | undefined
  /** Of GNU's long names; they win over those of PAX, as in Go's archive/tar. */
  readonly name: ByteString | undefined
  readonly link: ByteString | undefined
}

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}

/** The type of a flag; undefined for those that neither containerd nor moby unpacks. */
export function entryType(flag: string, name: ByteString): TarEntry['type'] | undefined {
  if (flag === '\0') return name.endsWith('/') ? 'directory' : 'file'
  return TYPES[flag]
}

export function entryName(raw: RawHeader, { pax, name }: EntryRecords): ByteString {
  return name ?? paxValue(pax, 'path') ?? raw.name
}

/** Bytes that lie behind the header. Throws OCI_LAYER_INVALID. */
export function dataSize(raw: RawHeader, pax: PaxRecords | undefined): number {
  const size = paxValue(pax, 'size')
  return size === undefined ? raw.size : toSize(parsePaxInteger(size, 'size'))
}

/** Lays the records over the header. Throws OCI_LAYER_INVALID. */
export function toTarEntry(
  raw: RawHeader,
  records: EntryRecords,
  fields: Pick<TarEntry, 'name' | 'type' | 'size' | 'dataOffset' | 'map'>,
): TarEntry {
  const { pax } = records
  // Nobody uses them, but they must be times.
  for (const key of ['atime', 'ctime']) paxTime(pax, key)
  const time = paxTime(pax, 'mtime')
  return {
    name: fields.name,
    type: fields.type,
    mode: raw.mode,
    uid: paxId(pax, 'uid') ?? raw.uid,
    gid: paxId(pax, 'gid') ?? raw.gid,
    size: fields.size,
    mtimeSec: time?.sec ?? raw.mtimeSec,
    mtimeNsec: time?.nsec ?? 0,
    link: records.link ?? paxValue(pax, 'linkpath') ?? raw.link,
    devMajor: raw.devMajor,
    devMinor: raw.devMinor,
    xattrs: xattrsOf(pax),
    dataOffset: fields.dataOffset,
    map: fields.map,
  }
}

/** Where the bytes of an entry lie in a plain tar. */
export function contentInTar(file: string, { dataOffset, map }: TarEntry): ContentSource {
  return map === undefined
    ? { kind: 'range', file, offset: dataOffset }
    : { kind: 'range', file, offset: dataOffset, map }
}

/** Go's times of files end here. */
const LAST_SECOND = 9_223_372_036

/** The time that containerd and moby give a file when they unpack it: out of the range of Go's it is the epoch. */
export function unpackedTime({ mtimeSec, mtimeNsec }: TarEntry): Pick<TarEntry, 'mtimeSec' | 'mtimeNsec'> {
  const isOutOfRange = mtimeSec < 0 || mtimeSec > LAST_SECOND
  return isOutOfRange ? { mtimeSec: 0, mtimeNsec: 0 } : { mtimeSec, mtimeNsec }
}

/** An empty value takes a record back: the header's own value stands. */
function paxValue(pax: PaxRecords | undefined, key: string): ByteString | undefined {
  const value = pax?.get(key)
  return value === '' ? undefined : value
}

function paxId(pax: PaxRecords | undefined, key: string): number | undefined {
  const value = paxValue(pax, key)
  return value === undefined ? undefined : toId(parsePaxInteger(value, key))
}

function paxTime(pax: PaxRecords | undefined, key: string): ReturnType<typeof parsePaxTime> | undefined {
  const value = paxValue(pax, key)
  return value === undefined ? undefined : parsePaxTime(value)
}

function xattrsOf(pax: PaxRecords | undefined): ReadonlyMap<string, Uint8Array> | undefined {
  if (pax === undefined) return undefined
  let xattrs: Map<string, Uint8Array> | undefined
  for (const [key, value] of pax) {
    if (!key.startsWith(XATTR_PREFIX)) continue
    xattrs ??= new Map()
    xattrs.set(key.slice(XATTR_PREFIX.length), Buffer.from(value, 'latin1'))
  }
  return xattrs
}
