import { describe, expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import { forTerminal, jsonText, nameLine, outputLine, safeLine } from './terminal-text.ts'
import { renderTable } from './table.ts'

const ESC = '\u001b'

describe('text for a terminal', () => {
  test.each([
    ['a window title', `a${ESC}]0;title\u0007b`, 'ab'],
    ['the clipboard', `a${ESC}]52;c;aGk=${ESC}\\b`, 'ab'],
    ['a link', `${ESC}]8;;http://x${ESC}\\text${ESC}]8;;${ESC}\\`, 'text'],
    ['a clear screen', `a${ESC}[2J${ESC}[Hb`, 'ab'],
    ['a question to the terminal', `a${ESC}[6n${ESC}[cb`, 'ab'],
    ['a device control string', `a${ESC}Pq#0${ESC}\\b`, 'ab'],
    ['a reset', `a${ESC}cb`, 'ab'],
    ['another alphabet', `a${ESC}(0b`, 'ab'],
    ['control characters of one byte', 'a\u009b2Jb\u009d0;t\u009cc\u0085d', 'abcd'],
    ['a backspace, a bell, a return, a delete', 'a\bb\u0007c\rd\u007fe\u000ef', 'abcdef'],
    ['a change of direction', 'a\u202eb\u2066c\u2069', 'abc'],
    ['a string without an end', `a${ESC}]52;c;aGk=`, 'a52;c;aGk='],
    ['a sequence in a sequence', `${ESC}[${ESC}[2J2J`, '2J'],
    ['a colour that is cut by another', `${ESC}[3${ESC}[31m1m`, `3${ESC}[31m1m`],
  ])('%s is left out', (_, text, expected) => {
    expect(forTerminal(text)).toBe(expected)
    expect(forTerminal(forTerminal(text))).toBe(expected)
  })

  test('colours, lines and tabs stay', () => {
    const text = `${ESC}[1;31mred${ESC}[0m\n\tgrün 日本 ✓\n`
    expect(forTerminal(text)).toBe(text)
  })

  test.each([`${ESC}]`, `${ESC}[1`, '\u009d', `${ESC}P\u0007`, `${ESC}[`])(
    'many beginnings of %j take no time',
    (beginning) => {
      const startMs = processorMs()
      forTerminal(`${beginning}x`.repeat(1_000_000))
      expect(processorMs() - startMs).toBeLessThan(3000)
    },
  )

  test('a colour ends with its line', () => {
    expect(outputLine(`${ESC}[31mred`)).toBe(`${ESC}[31mred${ESC}[0m`)
    expect(outputLine(`${ESC}[31mred${ESC}[0m`)).toBe(`${ESC}[31mred${ESC}[0m`)
    expect(outputLine('plain')).toBe('plain')
  })

  test('a name is one line', () => {
    expect(nameLine('COPY a\n#9 DONE /')).toBe('COPY a #9 DONE /')
    expect(
      renderTable([
        ['NAME', 'X'],
        [`a${ESC}[2J\nb`, 'y'],
      ]),
    ).toBe('NAME      X\na b       y\n')
  })

  test('a live display has the last state of a line, without colours', () => {
    expect(safeLine(`10%\r${ESC}[32m100%${ESC}[0m\r`)).toBe('100%')
  })
})

test('JSON means the same, and a terminal may show it', () => {
  const value = { a: 'x\u009b2J\u007f\u202e', b: ['\u001b[2J'] }
  expect(jsonText(value)).toMatch(/^[\u0020-\u007e]*$/)
  expect(JSON.parse(jsonText(value, 2))).toEqual(value)
})
