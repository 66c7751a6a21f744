import { BuilderError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import { makeEntry } from './entry.ts'
import { OWN_TAR } from './table.ts'
import type { ContentSource, EntryType, LayerEntry, LayerTable } from './types.ts'

/**
 * A table as bytes: a header of eight 32-bit words, a column for each member, then one blob of names. Numbers are
 * little-endian. What a file of another version holds is not guessed at: it is made again from the layer.
 */
const MAGIC = 0x54_54_53_54
const VERSION = 1
const HEADER_WORDS = 8

const TYPES: readonly EntryType[] = ['file', 'directory', 'symlink', 'hardlink', 'character', 'block', 'fifo', 'whiteout', 'opaque']
const TYPE_NUMBER = new Map(TYPES.map((type, index) => [type, index]))

const HAS_DIGEST = 16
const HAS_RANGE = 32
/** Devices, attributes and contents that are no range: a JSON text of their own, as there are few. */
const HAS_MORE = 64

/** Words of an entry: flags and mode, uid, gid, size (2), mtime (2), nanoseconds, path length, link length, offset (2), file. */
const WORDS = 13

interface More {
  readonly devMajor?: number | undefined
  readonly devMinor?: number | undefined
  readonly xattrs?: readonly (readonly [string, string])[]
  readonly content?: Exclude<ContentSource, { readonly kind: 'range' | 'inline' }> | { readonly kind: 'inline'; readonly base64: string }
}

/**
 * Encodes a table. Ranges in `ownTar` (or in {@link OWN_TAR}) are kept as offsets without a name: the tar may move.
 */
export function encodeTable(table: LayerTable, ownTar: string = OWN_TAR): Buffer {
  const { entries } = table
  const words = new Uint32Array(entries.length * WORDS)
  const floats = new Float64Array(1)
  const halves = new Uint32Array(floats.buffer)
  const texts: string[] = []
  const digests: string[] = []
  const more: More[] = []
  const files = new Map<string, number>([[OWN_TAR, 0]])
  const putFloat = (at: number, value: number): void => {
    floats[0] = value
    words[at] = halves[0]!
    words[at + 1] = halves[1]!
  }

  for (let i = 0, at = 0; i < entries.length; i++, at += WORDS) {
    const entry = entries[i]!
    const { content } = entry
    let flags = TYPE_NUMBER.get(entry.type)!
    words[at + 1] = entry.uid
    words[at + 2] = entry.gid
    putFloat(at + 3, entry.size)
    putFloat(at + 5, entry.mtimeSec)
    words[at + 7] = entry.mtimeNsec
    words[at + 8] = entry.path.length
    words[at + 9] = entry.link?.length ?? 0
    texts.push(entry.path)
    if (entry.link !== undefined) texts.push(entry.link)
    if (content?.kind === 'range') {
      flags |= HAS_RANGE
      putFloat(at + 10, content.offset)
      const name = content.file === ownTar ? OWN_TAR : content.file
      let file = files.get(name)
      if (file === undefined) files.set(name, (file = files.size))
      words[at + 12] = file
    }
    if (entry.contentDigest !== undefined) {
      flags |= HAS_DIGEST
      digests.push(entry.contentDigest.slice(7))
    }
    if (entry.devMajor !== undefined || entry.xattrs !== undefined || (content !== undefined && content.kind !== 'range')) {
      flags |= HAS_MORE
      more.push(moreOf(entry))
    }
    words[at] = (flags << 16) | entry.mode
  }
  const blob = Buffer.from(texts.join(''), 'latin1')
  const digestBytes = Buffer.from(digests.join(''), 'hex')
  const extra = Buffer.from(JSON.stringify({ files: [...files.keys()].slice(1), more }), 'utf8')
  const header = new Uint32Array([MAGIC, VERSION, entries.length, blob.length, digestBytes.length, extra.length, 0, 0])
  return Buffer.concat([bytesOf(header), bytesOf(words), digestBytes, extra, blob])
}

function bytesOf(array: Uint32Array): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength)
}

function moreOf(entry: LayerEntry): More {
  const { content, xattrs } = entry
  return {
    devMajor: entry.devMajor,
    devMinor: entry.devMinor,
    ...(xattrs === undefined ? {} : { xattrs: [...xattrs].map(([key, value]) => [key, Buffer.from(value).toString('base64')] as const) }),
    ...(content === undefined || content.kind === 'range' ? {} : { content: content.kind === 'inline' ? { kind: 'inline', base64: Buffer.from(content.bytes).toString('base64') } : content }),
  }
}

/**
 * Decodes a table; `ownTar` is where the layer's tar lies now. Answers undefined for a file of another version.
 * Throws OCI_LAYER_INVALID for one that is damaged.
 */
export function decodeTable(bytes: Uint8Array, ownTar: string = OWN_TAR): LayerTable | undefined {
  const words = alignedWords(bytes)
  if (words.length < HEADER_WORDS || words[0] !== MAGIC) throw damaged()
  if (words[1] !== VERSION) return undefined
  const [, , count, blobLength, digestLength, extraLength] = words as unknown as readonly number[]
  const digestStart = (HEADER_WORDS + count! * WORDS) * 4
  const extraStart = digestStart + digestLength!
  const blobStart = extraStart + extraLength!
  if (blobStart + blobLength! !== bytes.byteLength) throw damaged()
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const names = buffer.toString('latin1', blobStart)
  const digests = buffer.toString('hex', digestStart, extraStart)
  const extra = JSON.parse(buffer.toString('utf8', extraStart, blobStart)) as { readonly files: readonly string[]; readonly more: readonly More[] }
  return { entries: decodeEntries(words, count!, names, digests, [ownTar, ...extra.files], extra.more) }
}

function decodeEntries(words: Uint32Array, count: number, names: string, digests: string, files: readonly string[], more: readonly More[]): LayerEntry[] {
  const floats = new Float64Array(1)
  const halves = new Uint32Array(floats.buffer)
  const float = (at: number): number => {
    halves[0] = words[at]!
    halves[1] = words[at + 1]!
    return floats[0]!
  }
  const entries = new Array<LayerEntry>(count)
  let name = 0
  let digest = 0
  let extra = 0
  for (let i = 0, at = HEADER_WORDS; i < count; i++, at += WORDS) {
    const flags = words[at]! >>> 16
    const type = TYPES[flags & 15]!
    const pathEnd = name + words[at + 8]!
    const linkEnd = pathEnd + words[at + 9]!
    const additional = (flags & HAS_MORE) === 0 ? undefined : more[extra++]
    entries[i] = makeEntry({
      path: names.slice(name, pathEnd),
      type,
      mode: words[at]! & 0xffff,
      uid: words[at + 1]!,
      gid: words[at + 2]!,
      size: float(at + 3),
      mtimeSec: float(at + 5),
      mtimeNsec: words[at + 7]!,
      link: linkEnd > pathEnd ? names.slice(pathEnd, linkEnd) : undefined,
      devMajor: additional?.devMajor,
      devMinor: additional?.devMinor,
      xattrs: additional?.xattrs === undefined ? undefined : new Map(additional.xattrs.map(([key, value]) => [key, Buffer.from(value, 'base64')])),
      content: (flags & HAS_RANGE) !== 0 ? { kind: 'range', file: files[words[at + 12]!]!, offset: float(at + 10) } : contentOf(additional),
      contentDigest: (flags & HAS_DIGEST) === 0 ? undefined : (`sha256:${digests.slice(digest, (digest += 64))}` as Digest),
    })
    name = linkEnd
  }
  return entries
}

function contentOf(more: More | undefined): ContentSource | undefined {
  const content = more?.content
  return content?.kind === 'inline' ? { kind: 'inline', bytes: Buffer.from(content.base64, 'base64') } : content
}

function alignedWords(bytes: Uint8Array): Uint32Array {
  const length = Math.floor(bytes.byteLength / 4)
  if (bytes.byteOffset % 4 === 0) return new Uint32Array(bytes.buffer, bytes.byteOffset, length)
  return new Uint32Array(Uint8Array.from(bytes).buffer, 0, length)
}

function damaged(): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', 'the file of a layer table is damaged', { hint: 'run the build again: the table is made anew' })
}
