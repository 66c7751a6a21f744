import { BuilderError } from '../base/errors.ts'
import { decompress, detectCompression, MAGIC_BYTES } from './decompress.ts'

/**
 * The plain bytes of a stream: the compression is told from the first ones, however small the pieces are in which they come.
 * @param name what an error calls it
 * @throws OCI_ARCHIVE_INVALID where nothing comes
 */
export async function* inflated(source: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  let start = Buffer.alloc(0)
  while (start.length < MAGIC_BYTES) {
    const next = await iterator.next()
    if (next.done === true) break
    start = Buffer.concat([start, next.value])
  }
  if (start.length === 0) throw new BuilderError('OCI_ARCHIVE_INVALID', `${name} is empty`)
  async function* all(): AsyncGenerator<Uint8Array> {
    yield start
    yield* { [Symbol.asyncIterator]: () => iterator }
  }
  yield* decompress(all(), detectCompression(start))
}
