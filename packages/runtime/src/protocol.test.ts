import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createFieldWriter, createFrameReader, encodeFrame } from './protocol.ts'
import type { Frame } from './protocol.ts'

function readInPieces(bytes: Buffer, cuts: readonly number[]): Frame[] {
  const frames: Frame[] = []
  const read = createFrameReader((frame) => frames.push(frame))
  let at = 0
  for (const cut of [...cuts.map((value) => value % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    if (cut > at) read(bytes.subarray(at, cut))
    at = Math.max(at, cut)
  }
  return frames
}

describe('frames', () => {
  test('a frame is length, type and id in little endian, then the bytes', () => {
    expect(encodeFrame(1, 0x0203, Buffer.from('ab')).toString('hex')).toBe('0200000001000000030200006162')
  })

  test('frames come whole, however the bytes are cut', () => {
    const frame = fc.record({ type: fc.nat(100), id: fc.nat(2 ** 31), payload: fc.uint8Array({ maxLength: 200 }) })
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat(2000), { maxLength: 12 }), (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(({ type, id, payload }) => encodeFrame(type, id, payload)))
        expect(readInPieces(bytes, cuts)).toEqual(
          frames.map(({ type, id, payload }) => ({ type, id, payload: Buffer.from(payload) })),
        )
      }),
    )
  })

  test('a frame that the executor would not take is refused before it is sent', () => {
    expect(() => encodeFrame(1, 1, Buffer.alloc(64 * 1024 * 1024 + 1))).toThrow(
      expect.objectContaining({ code: 'OCI_RUNTIME_EXECUTOR' }),
    )
  })
})

describe('fields', () => {
  test('a string carries its final NUL, as UTF-8 or as bytes', () => {
    const fields = createFieldWriter()
    fields.string(4, 'é')
    fields.string(5, 'é', 'latin1')
    expect(fields.payload().toString('hex')).toBe('0400000003000000c3a9000500000002000000e900')
  })

  test('a string with a NUL inside is refused', () => {
    expect(() => createFieldWriter().string(4, 'a\0b')).toThrow(
      expect.objectContaining({ code: 'OCI_RUNTIME_STEP_START' }),
    )
  })
})
