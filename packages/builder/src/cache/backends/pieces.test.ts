import { expect, test } from '@jest/globals'
import { forEachPiece, inPieces } from './pieces.ts'

async function* bytesOf(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

test.each([
  [['abcdefgh'], ['abc', 'def', 'gh']],
  [
    ['a', 'bc', 'd'],
    ['abc', 'd'],
  ],
  [['abc'], ['abc']],
  [
    ['ab', 'cdef'],
    ['abc', 'def'],
  ],
  [[], ['']],
])('%j in pieces of three is %j', async (chunks, pieces) => {
  const found: string[] = []
  for await (const piece of inPieces(bytesOf(...chunks), 3)) found.push(Buffer.from(piece).toString())
  expect(found).toEqual(pieces)
})

test('what its sender writes over after it was read is kept', async () => {
  const buffer = Buffer.alloc(2)
  async function* reused(): AsyncGenerator<Uint8Array> {
    for (const text of ['ab', 'cd', 'ef']) yield buffer.fill(text)
  }
  const found: string[] = []
  for await (const piece of inPieces(reused(), 4)) found.push(Buffer.from(piece).toString())
  expect(found).toEqual(['abcd', 'ef'])
})

test('no more than so many are in flight, and a failure ends the reading', async () => {
  let running = 0
  let most = 0
  let read = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for (; read < 100; read++) yield Buffer.from('x')
  }
  const work = async (_: Uint8Array, index: number): Promise<void> => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    if (index === 5) throw new Error('broken')
  }
  await expect(forEachPiece(counted(), 3, work)).rejects.toThrow('broken')
  expect(most).toBe(3)
  expect(read).toBeLessThan(12)
  expect(running).toBe(0)
})
