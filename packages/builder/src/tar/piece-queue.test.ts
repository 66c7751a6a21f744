import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { createPieceQueue, type PieceQueue } from './piece-queue.ts'

const MEBI = 1 << 20

function counted(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(at, at)
  return bytes
}

async function readAll(queue: PieceQueue): Promise<{ readonly bytes: Buffer; readonly buffers: Set<ArrayBufferLike> }> {
  const found: Buffer[] = []
  const buffers = new Set<ArrayBufferLike>()
  for await (const piece of queue.pieces()) {
    await sleep(1)
    found.push(Buffer.from(piece))
    buffers.add(piece.buffer)
  }
  return { bytes: Buffer.concat(found), buffers }
}

test.each([1000, 65_536, 524_288, 3_000_000, 20_000_000])(
  'bytes come in order, in writes of %i',
  async (writeBytes) => {
    const all = counted(20_000_000)
    const queue = createPieceQueue()
    const read = readAll(queue)
    const reused = Buffer.alloc(writeBytes)
    for (let at = 0; at < all.length; at += writeBytes) {
      const length = all.copy(reused, 0, at, at + writeBytes)
      await queue.write(reused.subarray(0, length))
      reused.fill(0)
    }
    queue.end()
    const { bytes, buffers } = await read
    expect(bytes.equals(all)).toBe(true)
    expect(buffers.size).toBeLessThanOrEqual(3)
  },
)

test('a writer waits for a reader that is behind', async () => {
  const queue = createPieceQueue()
  expect(queue.write(counted(MEBI))).toBeUndefined()
  let hasRoom = false
  const wait = queue.write(counted(MEBI))!.then(() => (hasRoom = true))
  await sleep(20)
  expect(hasRoom).toBe(false)
  const reader = queue.pieces()
  await reader.next()
  await reader.next()
  await wait
})

test('a writer that waits is let go when nobody reads any more, and what is written then goes nowhere', async () => {
  const queue = createPieceQueue()
  const wait = queue.write(counted(4 * MEBI))
  queue.close()
  await wait
  expect(queue.write(counted(4 * MEBI))).toBeUndefined()
})

test('a reader that waits is let go with the queue', async () => {
  const queue = createPieceQueue()
  const next = queue.pieces().next()
  await sleep(1)
  queue.close()
  expect(await next).toEqual({ done: true, value: undefined })
})

test('nothing written is nothing read', async () => {
  const queue = createPieceQueue()
  queue.end()
  expect((await readAll(queue)).bytes.length).toBe(0)
})
