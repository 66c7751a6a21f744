import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Transform } from 'node:stream'
import { createInflateRaw, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, jest, test } from '@jest/globals'
import { createInflater } from './inflater.ts'

const plain = Buffer.concat([Buffer.alloc(700_000, 'layer '), randomBytes(3_000_000)])
// A tar's first bytes are a name, which may be as short as one byte.
const small = Buffer.alloc(10_240, 'a\0')

async function inflate(blob: Buffer, pieceBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  const inflater = createInflater((piece) => void pieces.push(Buffer.from(piece)))
  const reused = Buffer.alloc(pieceBytes)
  for (let at = 0; at < blob.length; at += pieceBytes) {
    const length = blob.copy(reused, 0, at, at + pieceBytes)
    await inflater.write(reused.subarray(0, length))
  }
  await inflater.finish()
  return Buffer.concat(pieces)
}

describe('the compression of a blob is told however it is cut', () => {
  test.each([
    ['gzip', gzipSync(small)],
    ['zstd', zstdCompressSync(small)],
    ['xz', execFileSync('xz', ['-c'], { input: small })],
    ['nothing', small],
  ])('%s', async (_, blob) => {
    for (const pieceBytes of [1, 2, 3, 5, 7, blob.length])
      expect((await inflate(blob, pieceBytes)).equals(small)).toBe(true)
  })

  test('a blob that is shorter than what compressions are told by, or empty', async () => {
    expect(await inflate(Buffer.from('abc'), 1)).toEqual(Buffer.from('abc'))
    expect(await inflate(Buffer.alloc(0), 1)).toEqual(Buffer.alloc(0))
  })
})

test.each([
  ['gzip', gzipSync(plain)],
  ['zstd', zstdCompressSync(plain)],
  // The programs read later than they are written to, so a piece is still on its way when the next one comes.
  ['xz', execFileSync('xz', ['-0c'], { input: plain, maxBuffer: 1 << 28 })],
  ['bzip2', execFileSync('bzip2', ['-1c'], { input: plain, maxBuffer: 1 << 28 })],
])('%s is inflated whole, in pieces of any size', async (_, blob) => {
  for (const pieceBytes of [1000, 1 << 18, blob.length])
    expect((await inflate(blob, pieceBytes)).equals(plain)).toBe(true)
})

// Asked of BuildKit, which builds on such a layer.
test('what follows the gzip data is ignored, and not waited for, wherever the pieces are cut', async () => {
  const blob = gzipSync(plain)
  for (const byte of ['x', '\0']) {
    const followed = Buffer.concat([blob, Buffer.alloc(5_000_000, byte)])
    for (const pieceBytes of [1 << 16, 1 << 18, blob.length, blob.length + 1, followed.length])
      expect((await inflate(followed, pieceBytes)).equals(plain)).toBe(true)
    expect((await inflate(Buffer.concat([blob, Buffer.from(byte)]), 1 << 18)).equals(plain)).toBe(true)
  }
})

test('a blob of many pieces leaves no listener behind for each', async () => {
  // Does not compress, so it comes in some forty pieces.
  const blob = gzipSync(randomBytes(20_000_000), { level: 1 })
  const { prototype } = createInflateRaw().constructor as { readonly prototype: Transform }
  const destroy = jest.spyOn(prototype, 'destroy')
  try {
    await inflate(blob, 1 << 18)
    expect(destroy).toHaveBeenCalled()
    for (const stream of destroy.mock.contexts as Transform[]) expect(stream.listenerCount('error')).toBeLessThan(5)
  } finally {
    destroy.mockRestore()
  }
})

test('several gzip members are one blob', async () => {
  for (const pieceBytes of [1000, 1 << 18])
    expect((await inflate(Buffer.concat([gzipSync(small), gzipSync(small)]), pieceBytes)).length).toBe(2 * small.length)
})

test.each([
  ['gzip', gzipSync(plain)],
  ['zstd', zstdCompressSync(plain)],
])('%s that is cut off or damaged is refused', async (_, blob) => {
  const refused = { code: 'OCI_LAYER_INVALID', message: expect.stringContaining('cannot be decompressed') }
  await expect(inflate(blob.subarray(0, 2_000_000), 1 << 18)).rejects.toMatchObject(refused)
  await expect(inflate(Buffer.from(blob).fill(0xff, 4, 16), 1 << 18)).rejects.toMatchObject(refused)
})

test('an error of the reader ends the work and is passed on', async () => {
  const inflater = createInflater(() => {
    throw new Error('the disk is full')
  })
  const work = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) await inflater.write(gzipSync(plain))
    await inflater.finish()
  }
  await expect(work()).rejects.toThrow('the disk is full')
})

// What lies outside of V8's heap is given back at a collection only, and much of it brings full ones.
test.each([
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
])('what was read of %s is given back at once, and does not wait for the garbage collector', async (_, compress) => {
  const blob = compress(Buffer.alloc(64 << 20))
  let lowest = Infinity
  let grown = 0
  let sizeBytes = 0
  const inflater = createInflater((piece) => {
    const { arrayBuffers } = process.memoryUsage()
    lowest = Math.min(lowest, arrayBuffers)
    grown = Math.max(grown, arrayBuffers - lowest)
    sizeBytes += piece.length
  })
  await inflater.write(blob)
  await inflater.finish()
  expect(sizeBytes).toBe(64 << 20)
  expect(grown).toBeLessThan(5 << 20)
})

test.each([
  ['gzip', gzipSync(plain)],
  ['xz', execFileSync('xz', ['-0c'], { input: plain, maxBuffer: 1 << 28 })],
])('%s that nobody finishes is stopped: nothing is handed on any more, and no program stays', async (_, blob) => {
  let count = 0
  const inflater = createInflater(() => void count++)
  for (let at = 0; at < blob.length / 2; at += 1 << 16) await inflater.write(blob.subarray(at, at + (1 << 16)))
  await inflater.stop()
  const before = count
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(count).toBe(before)
  expect(childrenNamed('xz')).toEqual([])
})

function childrenNamed(name: string): readonly string[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean)
  return children.filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name)
}
