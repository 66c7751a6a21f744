import { open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { copyRange, readFully, writeFully } from '@ts-oci/runtime'
import { mismatch } from '../store/blobs.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import type { BlobFile } from './types.ts'

const COPY_BYTES = 16 * 1024 * 1024
const BUFFER_BYTES = 1024 * 1024

/** What a blob must be when all of it has passed. */
export interface ExpectedBlob {
  readonly digest: Digest
  readonly size: number
}

/** Copies a blob into an open file; what is not known to be right is verified on its way. */
export async function copyBlob(
  file: BlobFile,
  expected: ExpectedBlob,
  target: { readonly fd: number; readonly position: number },
  signal: AbortSignal | undefined,
): Promise<void> {
  const source = await open(file.path)
  const digester = createDigester()
  const buffer = file.isVerified ? undefined : Buffer.allocUnsafe(Math.min(BUFFER_BYTES, expected.size))
  let done = 0
  try {
    while (done < expected.size) {
      signal?.throwIfAborted()
      const end = Math.min(expected.size, done + COPY_BYTES)
      const start = done
      if (buffer === undefined) done += copyRange(source.fd, done, target.fd, target.position + done, end - done)
      while (buffer !== undefined && done < end) {
        const count = readFully(source.fd, buffer, 0, Math.min(buffer.length, end - done), done)
        const piece = buffer.subarray(0, count)
        digester.update(piece)
        writeFully(target.fd, piece, target.position + done)
        done += count
        if (count < buffer.length) break
      }
      if (done === start) break
      // Ctrl-C is heard between two pieces.
      await setImmediate()
    }
    const { size } = await source.stat()
    const digest = buffer === undefined ? expected.digest : digester.digest()
    if (digest !== expected.digest || size !== expected.size || done !== size)
      throw mismatch(expected, { digest, sizeBytes: size })
  } finally {
    await source.close()
  }
}
