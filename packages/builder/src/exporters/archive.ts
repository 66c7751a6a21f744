import { createDigester } from '../oci/digest.ts'
import { mismatch } from '../store/blobs.ts'
import type { ImageBlob } from './compose.ts'
import type { ByteSink } from './byte-sink.ts'

/** What an archive is written to; who opened it ends it. */
export type ArchiveSink = Pick<ByteSink, 'write' | 'appendFile'>

/** A file of an outer archive. */
export type ArchiveFile =
  | { readonly name: string; readonly bytes: Uint8Array; readonly mode?: number }
  | { readonly name: string; readonly blob: ImageBlob }

/**
 * Writes an image archive: `blobs/` and the files, sorted by name, no times, owned by 0 (as containerd writes it).
 * A blob is verified while it passes; a wrong one fails the archive before it is complete.
 */
export async function writeArchive(
  sink: ArchiveSink,
  files: readonly ArchiveFile[],
  signal?: AbortSignal,
): Promise<void> {
  const headerOf = await loadHeaders()
  for (const name of ['blobs/', 'blobs/sha256/'])
    await sink.write(await headerOf({ name, type: 'directory', mode: 0o755, size: 0 }))
  for (const file of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    signal?.throwIfAborted()
    const size = 'bytes' in file ? file.bytes.length : file.blob.size
    const mode = 'bytes' in file ? (file.mode ?? 0o644) : 0o444
    await sink.write(await headerOf({ name: file.name, type: 'file', mode, size }))
    if ('bytes' in file) await sink.write(file.bytes)
    else await writeBlob(sink, file.blob, signal)
    const rest = size % BLOCK_BYTES
    if (rest > 0) await sink.write(Buffer.alloc(BLOCK_BYTES - rest))
  }
  await sink.write(Buffer.alloc(2 * BLOCK_BYTES))
}

const BLOCK_BYTES = 512

interface Header {
  readonly name: string
  readonly type: 'file' | 'directory'
  readonly mode: number
  readonly size: number
}

/** tar-stream writes the headers; the contents go past it, from file to file where they can. */
async function loadHeaders(): Promise<(header: Header) => Promise<Uint8Array>> {
  // CommonJS: once bundled it has its exports here alone.
  const { default: library } = await import('tar-stream')
  return async (header) => {
    const pack = library.pack()
    pack.entry({ ...header, uid: 0, gid: 0, mtime: new Date(0) }).on('error', () => undefined)
    for await (const chunk of pack as AsyncIterable<Uint8Array>) return chunk
    throw new Error('tar-stream wrote no header')
  }
}

async function writeBlob(sink: ArchiveSink, blob: ImageBlob, signal: AbortSignal | undefined): Promise<void> {
  if (blob.file !== undefined && sink.appendFile !== undefined) return sink.appendFile(blob.file, blob, signal)
  for await (const chunk of verified(blob, signal)) await sink.write(chunk)
}

/** Passes a blob's bytes on and fails at its end when they are not what its digest says. */
export async function* verified(blob: ImageBlob, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  const digester = createDigester()
  let sizeBytes = 0
  for await (const chunk of blob.open(signal)) {
    signal?.throwIfAborted()
    digester.update(chunk)
    sizeBytes += chunk.length
    if (sizeBytes > blob.size) break
    yield chunk
  }
  const digest = digester.digest()
  if (digest !== blob.digest || sizeBytes !== blob.size) throw mismatch(blob, { digest, sizeBytes })
}
