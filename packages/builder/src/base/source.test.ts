import { describe, expect, test } from '@jest/globals'
import { codeFrame, createSourceFile, lineText, offsetAt, positionAt, rangeOfLines, textOf } from './source.ts'

const file = createSourceFile('Dockerfile', 'FROM a\r\nRUN b\n\nCMD c')

describe('positions', () => {
  test('count lines and columns from 1', () => {
    expect(positionAt(file, 0)).toEqual({ line: 1, column: 1 })
    expect(positionAt(file, 12)).toEqual({ line: 2, column: 5 })
    expect(positionAt(file, 999)).toEqual({ line: 4, column: 6 })
  })

  test('lead back to the offset', () => {
    for (let offset = 0; offset <= file.text.length; offset++)
      expect(offsetAt(file, positionAt(file, offset))).toBe(offset)
  })

  test('a line has no line end', () => {
    expect([1, 2, 3, 4, 5].map((line) => lineText(file, line))).toEqual(['FROM a', 'RUN b', '', 'CMD c', ''])
  })

  test('whole lines are a range', () => {
    expect(textOf(rangeOfLines(file, 2, 2))).toBe('RUN b')
  })
})

// Excerpts as the docker CLI's BuildKit printed them.
describe('codeFrame', () => {
  const lines = (count: number): string => Array.from({ length: count }, (_, index) => `L${index + 1}`).join('\n')

  test('shows the lines around one line', () => {
    expect(codeFrame(rangeOfLines(createSourceFile('Dockerfile', 'FROM scratch\nRUNN x\n'), 2, 2))).toBe(
      'Dockerfile:2\n--------------------\n   1 |     FROM scratch\n   2 | >>> RUNN x\n   3 |     \n--------------------\n',
    )
  })

  test('shows fewer lines around several', () => {
    expect(codeFrame(rangeOfLines(createSourceFile('f', lines(20)), 10, 11))).toBe(
      'f:10\n--------------------\n   9 |     L9\n  10 | >>> L10\n  11 | >>> L11\n  12 |     L12\n--------------------\n',
    )
  })

  test('is empty outside the file', () => {
    expect(codeFrame(rangeOfLines(createSourceFile('f', lines(2)), 5, 5))).toBe('')
  })
})
