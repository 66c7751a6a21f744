import { closeSync, openSync, readSync } from 'node:fs'
import { BuilderError } from '../errors.ts'
import type { LayerEntry } from '../layer/types.ts'
import type { JobRunner } from './jobs.ts'
import type { LayerForms } from './types.ts'

const CHUNK_BYTES = 1 << 20
/** A part is a job, which opens the file again. */
const PART_BYTES = 1 << 20

/** The bytes of a file that a view names, piece by piece; each is valid until the next one is asked for. */
export async function* readEntry(
  forms: LayerForms,
  jobs: JobRunner,
  entry: LayerEntry,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (entry.size === 0) return
  const [resolved] = await forms.resolveContents([entry])
  const content = resolved?.content
  if (content === undefined)
    throw new BuilderError('OCI_BLOB_NOT_FOUND', `the bytes of ${JSON.stringify(entry.path)} are not at hand`)
  if (content.kind === 'inline') {
    yield content.bytes
    return
  }
  if (content.kind !== 'range') {
    for (let start = 0; start < entry.size; start += PART_BYTES) {
      signal?.throwIfAborted()
      const end = Math.min(entry.size, start + PART_BYTES)
      yield await jobs.run('readPart', { source: content, size: entry.size, start, end }, content.kind === 'tree')
    }
    return
  }
  const fd = openSync(content.file, 'r')
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, entry.size))
  try {
    for (let done = 0; done < entry.size;) {
      signal?.throwIfAborted()
      const count = readSync(fd, buffer, 0, Math.min(buffer.length, entry.size - done), content.offset + done)
      if (count === 0) throw new BuilderError('OCI_STORE_UNUSABLE', `${content.file} is shorter than its table says`)
      done += count
      yield buffer.subarray(0, count)
    }
  } finally {
    closeSync(fd)
  }
}
