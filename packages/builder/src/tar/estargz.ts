import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { statFd } from '@ts-oci/runtime'
import { freeBytes } from '../base/free-bytes.ts'
import { createDigester, digestOf, type DiffID } from '../oci/digest.ts'
import type { IndexedBlob, Output } from './blob-output.ts'
import { BLOCK_BYTES, paddedSize, writeHeader } from './header.ts'
import { createContentLog, cutTar, describeEntry, inOrder, positive, readPart, type ContentLog } from './tar-parts.ts'
import type { TarEntry } from './tar-entry.ts'

const LANDMARK = '.no.prefetch.landmark'
const LANDMARK_CONTENT = Buffer.of(0xf)
const TABLE = 'stargz.index.json'
const deflate = promisify(gzip)

/**
 * Writes a tar as eStargz (stargz-snapshotter, docs/estargz.md): members of gzip that begin where a piece of a file begins, then a
 * table of contents as the last file, then a footer that says where the table is. Whoever knows nothing of it reads gzip.
 * The table, and the mark that no file is to be fetched first, are files of the tar: so it has a diffID of its own.
 */
export async function writeEstargz(
  source: number,
  level: number | undefined,
  output: Output,
  signal: AbortSignal | undefined,
): Promise<IndexedBlob> {
  const compress = (bytes: Buffer): Promise<Buffer> => deflate(bytes, level === undefined ? {} : { level })
  const sink = createSink(output)
  const mark = smallFile(LANDMARK, LANDMARK_CONTENT)
  sink.add(mark.header, await compress(mark.header))
  const markStart = sink.add(mark.data, await compress(mark.data))
  const { entries, parts } = cutTar(source, statFd(source).size, signal)
  const log = createContentLog()
  await inOrder(
    parts,
    availableParallelism() + 1,
    async (part) => {
      signal?.throwIfAborted()
      const bytes = readPart(source, part)
      return { bytes, compressed: await compress(bytes) }
    },
    ({ bytes, compressed }, { chunk }) => {
      const start = sink.add(bytes, compressed)
      if (chunk !== undefined) log.add(chunk, bytes, start)
      freeBytes(bytes)
      freeBytes(compressed)
    },
  )
  const content = digestOf(LANDMARK_CONTENT)
  const first = { name: LANDMARK, type: 'reg', size: 1, offset: markStart, digest: content, chunkDigest: content }
  const all = [first, ...entries.flatMap((entry) => tableEntries(entry, log))]
  const table = Buffer.from(JSON.stringify({ version: 1, entries: all }, null, '\t'))
  const { header, data } = smallFile(TABLE, table)
  const file = Buffer.concat([header, data, Buffer.alloc(2 * BLOCK_BYTES)])
  output.write(footer(sink.add(file, await compress(file))))
  return {
    diffId: sink.diffId(),
    annotations: {
      'containerd.io/snapshot/stargz/toc.digest': digestOf(table),
      'io.containers.estargz.uncompressed-size': String(sink.plainBytes()),
    },
  }
}

interface Sink {
  /** Answers where the compressed bytes begin. */
  add(plain: Buffer, compressed: Buffer): number
  diffId(): DiffID
  plainBytes(): number
}

function createSink(output: Output): Sink {
  const digester = createDigester()
  let [offset, plainBytes] = [0, 0]
  return {
    add(plain, compressed) {
      const start = offset
      digester.update(plain)
      output.write(compressed)
      plainBytes += plain.length
      offset += compressed.length
      return start
    },
    diffId: () => digester.digest() as string as DiffID,
    plainBytes: () => plainBytes,
  }
}

function tableEntries(entry: TarEntry, log: ContentLog): readonly object[] {
  const described = describeEntry(entry)
  const content = log.of(entry)
  if (content === undefined) return [described]
  const { digest, chunks } = content
  return chunks.map(({ start, offset, sizeBytes, digest: chunkDigest }, index) => ({
    ...(index === 0 ? { ...described, digest } : { name: described['name'], type: 'chunk' }),
    offset: start,
    // The last chunk is as long as what is left.
    ...positive({ chunkOffset: offset, chunkSize: offset + sizeBytes < entry.size ? sizeBytes : 0 }),
    chunkDigest,
  }))
}

function smallFile(path: string, content: Buffer): { readonly header: Buffer; readonly data: Buffer } {
  const header = Buffer.alloc(BLOCK_BYTES)
  const attributes = { mode: 0, uid: 0, gid: 0, size: content.length, mtimeSec: 0, mtimeNsec: 0 }
  writeHeader(header, 0, { path, type: 'file', ...attributes })
  const data = Buffer.alloc(paddedSize(content.length))
  content.copy(data)
  return { header, data }
}

/** An empty member of gzip whose extra field has the place of the table, 51 bytes always. */
function footer(tableAt: number): Buffer {
  const field = Buffer.from(`${tableAt.toString(16).padStart(16, '0')}STARGZ`)
  const head = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, field.length + 4, 0, 0x53, 0x47, field.length, 0])
  return Buffer.concat([head, field, Buffer.from([1, 0, 0, 0xff, 0xff]), Buffer.alloc(8)])
}
