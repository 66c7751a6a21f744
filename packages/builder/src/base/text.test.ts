import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { compareBytes, decodeText, encodeText, isSpaceCode, lowerCase, quote, trimSpace, upperCase } from './text.ts'

describe('decodeText and encodeText', () => {
  test('any bytes come back as they were', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect([...encodeText(decodeText(bytes))]).toEqual([...bytes])
      }),
      { numRuns: 2000 },
    )
  })

  test('any text comes back as it was', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => expect(decodeText(encodeText(text))).toBe(text)))
  })

  test('each byte that is no UTF-8 is one character', () => {
    expect(decodeText(Uint8Array.of(0x61, 0xe2, 0x82, 0xff, 0xc3, 0xa9))).toBe('a\udce2\udc82\udcff\u00e9')
  })
})

describe('white space', () => {
  test('is what Unicode says, and not what JavaScript says', () => {
    expect([0x09, 0x0b, 0x20, 0x85, 0xa0, 0x1680, 0x2028, 0x3000].every(isSpaceCode)).toBe(true)
    expect([0x08, 0x200b, 0xfeff].some(isSpaceCode)).toBe(false)
    expect(trimSpace('\u0085\u3000 a \v\n')).toBe('a')
  })
})

describe('case', () => {
  test('is mapped character by character', () => {
    expect(lowerCase('İΣ\u212a')).toBe('iσk')
    expect(upperCase('ßé')).toBe('ßÉ')
  })
})

describe('compareBytes', () => {
  test('orders characters beyond U+FFFF behind all others', () => {
    expect(['🚀', '\uffee', 'a'].sort(compareBytes)).toEqual(['a', '\uffee', '🚀'])
  })
})

// Go's documentation of %q: a double-quoted string safely escaped with Go syntax.
describe('quote', () => {
  test.each([
    ['a b', '"a b"'],
    ['a"\\b', '"a\\"\\\\b"'],
    ['\x07\b\f\n\r\t\v', '"\\a\\b\\f\\n\\r\\t\\v"'],
    ['\0\x7f', '"\\x00\\x7f"'],
    ['é中🚀', '"é中🚀"'],
    ['\u00a0\u200b\ue000', '"\\u00a0\\u200b\\ue000"'],
    ['\u{e0001}', '"\\U000e0001"'],
    ['\udcff', '"\\xff"'],
  ])('%j', (text, quoted) => {
    expect(quote(text)).toBe(quoted)
  })
})
