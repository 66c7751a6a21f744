import { readFully } from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import { fromByteString } from '../base/byte-string.ts'
import { createDigester, digestOf, type Digest } from '../oci/digest.ts'
import { paddedSize } from './header.ts'
import { createTarReader, type TarEntry } from './tar-reader.ts'

/** So long is a piece of a file that can be fetched alone; what has a table of contents cuts at the same places everywhere. */
export const CHUNK_BYTES: number = 4 << 20
const READ_BYTES = 1 << 20

/** A part of a plain tar that is compressed alone: headers and padding, or a piece of a file. */
export interface TarPart {
  readonly start: number
  readonly end: number
  /** Of which entry, and from which byte of the file; absent for headers. */
  readonly chunk?: { readonly entry: TarEntry; readonly offset: number }
}

export interface TarParts {
  readonly entries: readonly TarEntry[]
  readonly parts: readonly TarPart[]
  /** Where the last entry ends: zeros follow. */
  readonly end: number
}

/**
 * Cuts a tar where its files begin and end, and large ones into chunks.
 * @throws OCI_OPTION_UNSUPPORTED of a sparse file: no table of contents can say where its holes are
 */
export function cutTar(source: number, sizeBytes: number, signal: AbortSignal | undefined): TarParts {
  const entries = readEntries(source, sizeBytes, signal)
  const parts: TarPart[] = []
  let at = 0
  for (const entry of entries) {
    if (entry.type !== 'file' || entry.size === 0) continue
    addHeaders(parts, at, entry.dataOffset)
    for (let offset = 0; offset < entry.size; offset += CHUNK_BYTES) {
      const start = entry.dataOffset + offset
      parts.push({ start, end: start + Math.min(CHUNK_BYTES, entry.size - offset), chunk: { entry, offset } })
    }
    at = entry.dataOffset + entry.size
  }
  const last = entries.at(-1)
  const end = last === undefined ? 0 : last.dataOffset + paddedSize(last.type === 'file' ? last.size : 0)
  addHeaders(parts, at, end)
  return { entries, parts, end }
}

/** As many headers as there are of links and directories may follow each other: they are cut as well. */
function addHeaders(parts: TarPart[], from: number, to: number): void {
  for (let start = from; start < to; start += CHUNK_BYTES) parts.push({ start, end: Math.min(to, start + CHUNK_BYTES) })
}

function readEntries(source: number, sizeBytes: number, signal: AbortSignal | undefined): readonly TarEntry[] {
  const entries: TarEntry[] = []
  const reader = createTarReader({ entry: (entry) => void entries.push(entry) })
  const block = Buffer.allocUnsafe(READ_BYTES)
  for (let position = 0; position < sizeBytes && !reader.isFinished;) {
    signal?.throwIfAborted()
    const skipped = Math.min(reader.skippable, sizeBytes - position)
    if (skipped > 0) {
      reader.skip(skipped)
      position += skipped
      continue
    }
    const count = readFully(source, block, 0, Math.min(READ_BYTES, sizeBytes - position), position)
    if (count === 0) break
    reader.push(block.subarray(0, count))
    position += count
  }
  reader.end()
  const sparse = entries.find(({ map }) => map !== undefined)
  if (sparse === undefined) return entries
  throw new BuilderError(
    'OCI_OPTION_UNSUPPORTED',
    `a layer with a table of contents cannot have sparse files: ${fromByteString(sparse.name)}`,
    { hint: 'use compression=gzip or zstd' },
  )
}

/** The bytes of a part. */
export function readPart(source: number, { start, end }: TarPart): Buffer {
  const bytes = Buffer.allocUnsafe(end - start)
  if (readFully(source, bytes, 0, bytes.length, start) === bytes.length) return bytes
  throw new BuilderError('OCI_STORE_UNUSABLE', 'a layer in the store became shorter while it was compressed')
}

/** What both tables of contents say of an entry, but for its content. */
export function describeEntry(entry: TarEntry): Record<string, string | number | Record<string, string>> {
  const { mode, uid, gid, size, mtimeSec, devMajor, devMinor, xattrs } = entry
  const link = fromByteString(entry.link)
  const values = xattrs === undefined ? [] : [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    type: TYPES[entry.type],
    name: fromByteString(entry.name),
    ...(link === '' ? {} : { linkName: link }),
    ...positive({ mode, size: entry.type === 'file' ? size : 0, uid, gid }),
    ...(mtimeSec === 0 ? {} : { modtime: new Date(mtimeSec * 1000).toISOString().replace('.000Z', 'Z') }),
    ...positive({ devMajor, devMinor }),
    ...(values.length === 0
      ? {}
      : { xattrs: Object.fromEntries(values.map(([key, value]) => [key, Buffer.from(value).toString('base64')])) }),
  }
}

const TYPES = {
  file: 'reg',
  hardlink: 'hardlink',
  symlink: 'symlink',
  character: 'char',
  block: 'block',
  directory: 'dir',
  fifo: 'fifo',
} as const

/** Nothing is left out, as Go's encoder does it. */
export function positive(numbers: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== 0))
}

/** Works on several items at once, and hands the results over in their order. */
export async function inOrder<Item, Result>(
  items: Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<Result>,
  take: (result: Result, item: Item) => void,
): Promise<void> {
  const running: { readonly item: Item; readonly result: Promise<Result> }[] = []
  const next = async (): Promise<void> => {
    const { item, result } = running.shift()!
    take(await result, item)
  }
  for (const item of items) {
    const result = work(item)
    // Awaited in its turn; a failure before that must not count as unhandled.
    result.catch(() => undefined)
    running.push({ item, result })
    if (running.length >= atOnce) await next()
  }
  while (running.length > 0) await next()
}

/** Where a chunk lies in the blob, and what it holds. */
export interface LoggedChunk {
  /** Of its compressed bytes, counted from the first of the blob. */
  readonly start: number
  readonly offset: number
  readonly sizeBytes: number
  readonly digest: Digest
}

/** What a table of contents says of the bytes of files; chunks come in the order of the tar. */
export interface ContentLog {
  add(chunk: NonNullable<TarPart['chunk']>, bytes: Uint8Array, start: number): void
  of(entry: TarEntry): { readonly digest: Digest; readonly chunks: readonly LoggedChunk[] } | undefined
}

export function createContentLog(): ContentLog {
  const files = new Map<TarEntry, { digest: Digest; chunks: LoggedChunk[] }>()
  let digester = createDigester()
  return {
    add({ entry, offset }, bytes, start) {
      const digest = digestOf(bytes)
      const isWhole = offset === 0 && bytes.length === entry.size
      if (offset === 0) {
        digester = createDigester()
        files.set(entry, { digest, chunks: [] })
      }
      if (!isWhole) digester.update(bytes)
      const file = files.get(entry)!
      file.chunks.push({ start, offset, sizeBytes: bytes.length, digest })
      if (!isWhole && offset + bytes.length === entry.size) file.digest = digester.digest()
    },
    of: (entry) => files.get(entry),
  }
}
