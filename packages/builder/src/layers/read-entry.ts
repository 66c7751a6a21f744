import { setImmediate } from 'node:timers/promises'
import { BuilderError } from '../base/errors.ts'
import { contentChunks } from '../disk/file-bytes.ts'
import type { ContentSource, LayerEntry } from '../view/types.ts'
import type { JobRunner } from '../disk/job-runner.ts'
import type { LayerReader } from './types.ts'

type Pieces = AsyncGenerator<Uint8Array, void, undefined>

const REST_BYTES = 16 << 20
/** A part is a job, which opens the file again. */
const PART_BYTES = 1 << 20

/** The bytes of a file that a view names, piece by piece; each is valid until the next one is asked for. */
export async function* readEntry(
  forms: Pick<LayerReader, 'resolveContents'>,
  jobs: JobRunner,
  entry: LayerEntry,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (entry.size === 0) return
  const [resolved] = await forms.resolveContents([entry])
  const content = resolved?.content
  if (content === undefined)
    throw new BuilderError('OCI_BLOB_NOT_FOUND', `the bytes of ${JSON.stringify(entry.path)} are not at hand`)
  for await (const piece of pieces(jobs, { ...entry, content })) {
    signal?.throwIfAborted()
    yield piece
  }
}

async function* pieces(jobs: JobRunner, entry: LayerEntry & { readonly content: ContentSource }): Pieces {
  const { content, size } = entry
  if (content.kind === 'tree') {
    for (let start = 0; start < size; start += PART_BYTES) {
      const end = Math.min(size, start + PART_BYTES)
      yield await jobs.run('readPart', { source: content, size, start, end }, true)
    }
    return
  }
  let sinceRest = 0
  for (const piece of contentChunks(entry, { isReused: true })) {
    yield piece
    sinceRest += piece.length
    if (sinceRest < REST_BYTES) continue
    sinceRest = 0
    // All else is done at once, to the end of the file: Ctrl-C is heard here.
    await setImmediate()
  }
}
