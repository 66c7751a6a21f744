import { errnoName } from './errno.ts'
import { RuntimeError } from './errors.ts'
import { native } from './native.ts'

/** How far matches reach back, bytes (RFC 1951). */
export const DEFLATE_WINDOW_BYTES: number = 32_768

/** Names the encoder: another one makes other bytes of the same input. It changes with every change of `deflate.c`. */
export const DEFLATE_ID: string = 'ts-oci deflate 1'

/** Room that a block never exceeds, bytes. */
export function deflateBound(lengthBytes: number): number {
  return native().deflateBound(lengthBytes)
}

export interface DeflateBlock {
  /** Holds the window and, right behind it, the block. Both buffers stay as they are until the promise settles. */
  readonly input: Uint8Array
  /** Where the block begins in `input`, and its length. */
  readonly offset: number
  readonly length: number
  /** How many bytes in front of the block the reader has by then; 0 to {@link DEFLATE_WINDOW_BYTES}. */
  readonly window: number
  /** At least `deflateBound(length)` bytes. */
  readonly output: Uint8Array
  readonly isLast: boolean
}

/**
 * Compresses one block of a deflate stream on a thread of the pool; answers how many bytes of `output` it took. They
 * begin and end at a byte and depend on the arguments alone. Throws OCI_RUNTIME_FILES (no memory).
 */
export async function deflateBlock(block: DeflateBlock): Promise<number> {
  const { input, offset, length, window, output, isLast } = block
  const result = await native().deflateBlock(input, offset, length, window, output, isLast)
  if (result < 0) {
    const errno = errnoName(-result)
    throw new RuntimeError('OCI_RUNTIME_FILES', `deflate: ${errno}`, { details: { errno } })
  }
  return result
}
