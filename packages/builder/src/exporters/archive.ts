import type { Pack } from 'tar-stream'
import { createDigester } from '../oci/digest.ts'
import { mismatch } from '../content/blobs.ts'
import type { ImageBlob } from './compose.ts'
import type { ByteSink } from './destination.ts'

/** A file of an outer archive. */
export type ArchiveFile =
  | { readonly name: string; readonly bytes: Uint8Array; readonly mode?: number }
  | { readonly name: string; readonly blob: ImageBlob }

/**
 * Streams an image archive: `blobs/` and the files, sorted by name, no times, owned by 0 (as containerd writes it).
 * A blob is verified while it passes; a wrong one fails the archive before it is complete.
 */
export async function writeArchive(sink: ByteSink, files: readonly ArchiveFile[], signal?: AbortSignal): Promise<void> {
  // CommonJS: once bundled it has its exports here alone.
  const { default: library } = await import('tar-stream')
  const pack = library.pack()
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => undefined)
  const stop = (error: unknown): never => {
    failure.reject(error)
    pack.destroy(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
  // The side that fails first is the cause; it wakes the other, which waits for it.
  await Promise.all([drain(pack, sink, signal).catch(stop), fill(pack, files, failure.promise, signal).catch(stop)])
}

async function drain(pack: Pack, sink: ByteSink, signal: AbortSignal | undefined): Promise<void> {
  for await (const chunk of pack as AsyncIterable<Uint8Array>) {
    signal?.throwIfAborted()
    await sink.write(chunk)
  }
}

async function fill(
  pack: Pack,
  files: readonly ArchiveFile[],
  failure: Promise<never>,
  signal: AbortSignal | undefined,
): Promise<void> {
  addDirectory(pack, 'blobs/')
  addDirectory(pack, 'blobs/sha256/')
  for (const file of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if ('bytes' in file)
      await addFile(pack, { name: file.name, mode: file.mode ?? 0o644, size: file.bytes.length }, [file.bytes], failure)
    else
      await addFile(pack, { name: file.name, mode: 0o444, size: file.blob.size }, verified(file.blob, signal), failure)
  }
  pack.finalize()
}

const HEADER = { uid: 0, gid: 0, mtime: new Date(0) }

function addDirectory(pack: Pack, name: string): void {
  pack.entry({ ...HEADER, name, type: 'directory', mode: 0o755 })
}

/** What we use of a streamx writable. */
interface EntrySink {
  write(chunk: Uint8Array): boolean
  end(): void
  once(event: 'drain', listener: () => void): void
  on(event: 'error', listener: (error: unknown) => void): void
}

async function addFile(
  pack: Pack,
  file: { readonly name: string; readonly mode: number; readonly size: number },
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  failure: Promise<never>,
): Promise<void> {
  const ended = Promise.withResolvers<void>()
  ended.promise.catch(() => undefined)
  const entry = pack.entry({ ...HEADER, ...file, type: 'file' }, (error) =>
    error ? ended.reject(error) : ended.resolve(),
  ) as unknown as EntrySink
  entry.on('error', ended.reject)
  for await (const chunk of chunks) {
    if (entry.write(chunk)) continue
    await Promise.race([new Promise<void>((resolve) => entry.once('drain', resolve)), ended.promise, failure])
  }
  entry.end()
  await Promise.race([ended.promise, failure])
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
