import { inflateRawSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { deflateBlock, deflateBound, DEFLATE_WINDOW_BYTES } from './deflate.ts'

/** A stream of blocks of these lengths, each with what lies before it as its window. */
async function deflate(data: Buffer, blockBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let offset = 0; offset < data.length || offset === 0; offset += blockBytes) {
    const length = Math.min(blockBytes, data.length - offset)
    const output = Buffer.alloc(deflateBound(length))
    const window = Math.min(offset, DEFLATE_WINDOW_BYTES)
    const isLast = offset + blockBytes >= data.length
    const size = await deflateBlock({ input: data, offset, length, window, output, isLast })
    pieces.push(output.subarray(0, size))
  }
  return Buffer.concat(pieces)
}

/** Bytes as files have them: noise, few symbols, repeats near and far, long runs. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 400 }).map((value) => Buffer.from(value)),
      fc.tuple(fc.nat(255), fc.nat(70_000)).map(([byte, length]) => Buffer.alloc(length, byte)),
      fc
        .tuple(fc.string({ minLength: 1, maxLength: 40 }), fc.nat(5000))
        .map(([word, length]) => Buffer.alloc(length, word)),
    ),
    { maxLength: 12 },
  )
  .map((parts) => Buffer.concat([...parts, ...parts.toReversed()]))

describe('deflate', () => {
  test('what comes out inflates to what went in, however it is cut into blocks', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, fc.integer({ min: 1, max: 300_000 }), async (data, blockBytes) => {
        const size = Math.max(blockBytes, Math.ceil(data.length / 50), 1)
        expect(inflateRawSync(await deflate(data, size)).equals(data)).toBe(true)
      }),
      { numRuns: 150 },
    )
  })

  test('codes that would be longer than 15 bits are cut', async () => {
    // Counts like Fibonacci's numbers make the deepest trees.
    const counts = [1, 1]
    while (counts.length < 24) counts.push(counts.at(-1)! + counts.at(-2)!)
    const data = Buffer.concat(counts.map((count, symbol) => Buffer.alloc(count, symbol)))
    // Shuffled, so that they are literals and no matches.
    for (let index = data.length - 1, seed = 1; index > 0; index--) {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      const other = seed % (index + 1)
      const byte = data[index]!
      data[index] = data[other]!
      data[other] = byte
    }
    expect(inflateRawSync(await deflate(data, data.length)).equals(data)).toBe(true)
  })

  test('noise grows by less than a thousandth', async () => {
    const noise = Buffer.alloc(1 << 20)
    for (let index = 0, seed = 7; index < noise.length; index++) {
      seed = (seed * 48_271) % 2_147_483_647
      noise[index] = seed >> 8
    }
    expect((await deflate(noise, noise.length)).length).toBeLessThan(noise.length * 1.001)
  })

  test('a window or a block outside of its buffer is refused', async () => {
    const input = Buffer.alloc(100)
    const output = Buffer.alloc(deflateBound(100))
    for (const wrong of [
      { offset: 10, window: 11 },
      { offset: 50, length: 51 },
      { offset: -1 },
      { output: Buffer.alloc(10) },
    ]) {
      const block = { input, offset: 0, length: 50, window: 0, output, isLast: true, ...wrong }
      await expect(deflateBlock(block)).rejects.toMatchObject({ code: 'OCI_RUNTIME_FILES' })
    }
  })
})
