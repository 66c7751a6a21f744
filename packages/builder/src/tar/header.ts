import type { ByteString } from '../base/byte-string.ts'
import { encodePax, XATTR_PREFIX } from './pax.ts'
import type { LayerEntry } from '../view/types.ts'

export const BLOCK_BYTES = 512

const NAME_BYTES = 100
const PREFIX_BYTES = 155
/** Largest numbers of the octal fields: 7 and 11 digits. */
const MAX_OCTAL_7 = 0o7777777
const MAX_OCTAL_11 = 0o77777777777

const TYPE_FLAGS = {
  file: 48,
  hardlink: 49,
  symlink: 50,
  character: 51,
  block: 52,
  directory: 53,
  fifo: 54,
  whiteout: 48,
  opaque: 48,
} as const satisfies Record<LayerEntry['type'], number>
const PAX_FLAG = 120

/** Prefix that marks a deleted name, and the name that hides all of a directory below (image-spec, layer.md, Whiteouts). */
export const WHITEOUT_PREFIX = '.wh.'
export const OPAQUE_NAME = '.wh..wh..opq'

/** Rounded up to whole tar blocks. */
export function paddedSize(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES
}

/**
 * Writes the header of an entry, with the PAX header before it where it needs one, at `offset`; answers the bytes
 * written. Bytes are those of BuildKit's layers (Go's archive/tar): ustar where everything fits, else PAX with sorted
 * records. The buffer needs `headerRoom(entry)` bytes.
 */
export function writeHeader(target: Buffer, offset: number, entry: LayerEntry, keepsNanoseconds = false): number {
  const name = tarName(entry)
  const records = paxRecords(entry, name, keepsNanoseconds)
  if (records === undefined) {
    writeBlock(target, offset, entry, name, false)
    return BLOCK_BYTES
  }
  const data = encodePax(records)
  writePaxBlock(target, offset, name, data.length)
  const padded = paddedSize(data.length)
  data.copy(target, offset + BLOCK_BYTES)
  target.fill(0, offset + BLOCK_BYTES + data.length, offset + BLOCK_BYTES + padded)
  writeBlock(target, offset + BLOCK_BYTES + padded, entry, name, true)
  return 2 * BLOCK_BYTES + padded
}

/** An upper bound of what `writeHeader` writes for an entry. */
export function headerRoom(entry: LayerEntry): number {
  let room = 4 * BLOCK_BYTES + entry.path.length + (entry.link?.length ?? 0) + 256
  if (entry.xattrs !== undefined) for (const [key, value] of entry.xattrs) room += key.length + value.length + 64
  return room
}

/** The name that an entry has in a tar: directories end in a slash, whiteouts carry their prefix. */
function tarName(entry: LayerEntry): ByteString {
  const { path, type } = entry
  if (type === 'directory') return `${path}/`
  if (type === 'opaque') return path === '' ? OPAQUE_NAME : `${path}/${OPAQUE_NAME}`
  if (type !== 'whiteout') return path
  const slash = path.lastIndexOf('/') + 1
  return path.slice(0, slash) + WHITEOUT_PREFIX + path.slice(slash)
}

/** Records that ustar has no room for; undefined when there are none. */
function paxRecords(
  entry: LayerEntry,
  name: ByteString,
  keepsNanoseconds: boolean,
): Map<string, ByteString> | undefined {
  const isMarker = entry.type === 'whiteout' || entry.type === 'opaque'
  const link = linkName(entry)
  const needsPath = !isAscii(name) || name.length > NAME_BYTES
  const needsLink = link !== '' && (link.length > NAME_BYTES || !isAscii(link))
  const hasXattrs = !isMarker && entry.xattrs !== undefined && entry.xattrs.size > 0
  const isOutOfRange =
    entry.uid > MAX_OCTAL_7 ||
    entry.gid > MAX_OCTAL_7 ||
    entry.mtimeSec < 0 ||
    entry.mtimeSec > MAX_OCTAL_11 ||
    entry.size > MAX_OCTAL_11
  const needsNumber = !isMarker && isOutOfRange
  const fitsByPrefix = needsPath && splitName(name) !== undefined
  // A time before 1970 keeps its whole seconds.
  const needsTime = keepsNanoseconds && !isMarker && entry.mtimeNsec > 0 && entry.mtimeSec >= 0
  if (!needsLink && !hasXattrs && !needsNumber && !needsTime && (!needsPath || fitsByPrefix)) return undefined

  const records = new Map<string, ByteString>()
  // A long name that a prefix would carry goes into the records once something else asks for them.
  if (needsPath) records.set('path', name)
  if (needsLink) records.set('linkpath', link)
  if (needsNumber) addNumbers(records, entry)
  if (needsTime) records.set('mtime', `${entry.mtimeSec}.${String(entry.mtimeNsec).padStart(9, '0')}`)
  if (hasXattrs) for (const [key, value] of entry.xattrs) records.set(XATTR_PREFIX + key, latin1(value))
  return records
}

function addNumbers(records: Map<string, ByteString>, entry: LayerEntry): void {
  if (entry.uid > MAX_OCTAL_7) records.set('uid', String(entry.uid))
  if (entry.gid > MAX_OCTAL_7) records.set('gid', String(entry.gid))
  if (entry.type === 'file' && entry.size > MAX_OCTAL_11) records.set('size', String(entry.size))
  if (entry.mtimeSec < 0 || entry.mtimeSec > MAX_OCTAL_11) records.set('mtime', String(entry.mtimeSec))
}

function writeBlock(target: Buffer, offset: number, entry: LayerEntry, name: ByteString, isPax: boolean): void {
  const isMarker = entry.type === 'whiteout' || entry.type === 'opaque'
  target.fill(0, offset, offset + BLOCK_BYTES)
  const split = !isPax && name.length > NAME_BYTES ? splitName(name) : undefined
  if (split === undefined) writeText(target, offset, NAME_BYTES, name)
  else {
    target.write(split.name, offset, NAME_BYTES, 'latin1')
    target.write(split.prefix, offset + 345, PREFIX_BYTES, 'latin1')
  }
  writeOctal(target, offset + 100, 7, isMarker ? 0 : entry.type === 'symlink' ? 0o777 : entry.mode)
  writeOctal(target, offset + 108, 7, isMarker || entry.uid > MAX_OCTAL_7 ? 0 : entry.uid)
  writeOctal(target, offset + 116, 7, isMarker || entry.gid > MAX_OCTAL_7 ? 0 : entry.gid)
  writeOctal(target, offset + 124, 11, entry.type === 'file' && entry.size <= MAX_OCTAL_11 ? entry.size : 0)
  const mtimeFits = !isMarker && entry.mtimeSec >= 0 && entry.mtimeSec <= MAX_OCTAL_11
  writeOctal(target, offset + 136, 11, mtimeFits ? entry.mtimeSec : 0)
  target[offset + 156] = TYPE_FLAGS[entry.type]
  writeText(target, offset + 157, NAME_BYTES, linkName(entry))
  target.write('ustar\x0000', offset + 257, 8, 'latin1')
  const isDevice = entry.type === 'character' || entry.type === 'block'
  writeOctal(target, offset + 329, 7, isDevice ? (entry.devMajor ?? 0) : 0)
  writeOctal(target, offset + 337, 7, isDevice ? (entry.devMinor ?? 0) : 0)
  writeChecksum(target, offset)
}

/** Header of the PAX data: `dir/PaxHeaders.0/base`, device fields NUL (as Go writes it). */
function writePaxBlock(target: Buffer, offset: number, name: ByteString, sizeBytes: number): void {
  target.fill(0, offset, offset + BLOCK_BYTES)
  const slash = name.lastIndexOf('/')
  const joined = [name.slice(0, slash + 1), 'PaxHeaders.0', name.slice(slash + 1)]
    .filter((part) => part !== '')
    .join('/')
  const cut = toAscii(joined.replaceAll('//', '/')).slice(0, NAME_BYTES).replace(/\/+$/, '')
  target.write(cut, offset, NAME_BYTES, 'latin1')
  for (const field of [100, 108, 116]) writeOctal(target, offset + field, 7, 0)
  writeOctal(target, offset + 124, 11, sizeBytes)
  writeOctal(target, offset + 136, 11, 0)
  target[offset + 156] = PAX_FLAG
  target.write('ustar\x0000', offset + 257, 8, 'latin1')
  writeChecksum(target, offset)
}

/** Text cut to its field, non-ASCII bytes dropped; a cut that ends in a slash loses it, so that no reader sees a directory. */
function writeText(target: Buffer, offset: number, length: number, text: ByteString): void {
  if (text.length <= length && isAscii(text)) {
    target.write(text, offset, length, 'latin1')
    return
  }
  const ascii = toAscii(text)
  let cut = ascii.slice(0, length)
  if (ascii.length > length && cut.endsWith('/')) cut = cut.replace(/\/+$/, '')
  target.write(cut, offset, length, 'latin1')
}

function writeOctal(target: Buffer, offset: number, digits: number, value: number): void {
  let rest = value
  for (let i = digits - 1; i >= 0; i--) {
    target[offset + i] = 48 + (rest % 8)
    rest = Math.floor(rest / 8)
  }
}

function writeChecksum(target: Buffer, offset: number): void {
  // The field itself counts as eight spaces.
  let sum = 8 * 32
  for (let i = offset; i < offset + BLOCK_BYTES; i++) sum += target[i]!
  writeOctal(target, offset + 148, 6, sum)
  target[offset + 154] = 0
  target[offset + 155] = 32
}

/** A long ASCII name as ustar prefix and name, at the last slash that serves; undefined when none does. */
function splitName(name: ByteString): { readonly prefix: string; readonly name: string } | undefined {
  if (name.length <= NAME_BYTES || !isAscii(name)) return undefined
  let end = Math.min(name.length, PREFIX_BYTES + 1)
  if (end === name.length && name.endsWith('/')) end--
  const slash = name.lastIndexOf('/', end - 1)
  const rest = name.length - slash - 1
  if (slash <= 0 || rest === 0 || rest > NAME_BYTES || slash > PREFIX_BYTES) return undefined
  return { prefix: name.slice(0, slash), name: name.slice(slash + 1) }
}

function linkName(entry: LayerEntry): ByteString {
  return entry.type === 'symlink' || entry.type === 'hardlink' ? (entry.link ?? '') : ''
}

function isAscii(text: ByteString): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}

function toAscii(text: ByteString): string {
  return isAscii(text) ? text : text.replace(/[\u0080-\u00ff]/g, '')
}

function latin1(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
