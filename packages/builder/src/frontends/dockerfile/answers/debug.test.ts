import { describe, expect, test } from '@jest/globals'
import { debugExpand, debugIgnore, debugParse } from './debug.ts'

function ask(tool: (input: string) => string, request: unknown): unknown {
  return JSON.parse(tool(JSON.stringify(request)))
}

describe('debugParse', () => {
  test('describes each instruction', () => {
    expect(ask(debugParse, { dockerfile: 'FROM a\n\nCOPY --from=x a <<EOF b\nq\nEOF\nENV a=b c=d\n' })).toEqual({
      ok: true,
      instructions: [
        { cmd: 'from', flags: [], args: ['a'], json: false, line: 1, heredocs: [] },
        {
          cmd: 'copy',
          flags: ['--from=x'],
          args: ['a', '<<EOF', 'b'],
          json: false,
          line: 3,
          heredocs: [{ name: 'EOF', content: 'q\n' }],
        },
        { cmd: 'env', flags: [], args: ['a', 'b', '=', 'c', 'd', '='], json: false, line: 6, heredocs: [] },
      ],
    })
  })

  test('puts the instruction of ONBUILD under child', () => {
    expect(ask(debugParse, { dockerfile: 'ONBUILD CMD ["a"]' })).toEqual({
      ok: true,
      instructions: [
        {
          cmd: 'onbuild',
          flags: [],
          args: [],
          json: false,
          line: 1,
          heredocs: [],
          child: { cmd: 'cmd', flags: [], args: ['a'], json: true, line: 1, heredocs: [] },
        },
      ],
    })
  })

  test('tells what is wrong', () => {
    expect(ask(debugParse, { dockerfile: 'RUNN x' })).toEqual({
      ok: false,
      error: 'dockerfile parse error on line 1: unknown instruction: RUNN (did you mean RUN?)',
    })
  })
})

describe('debugExpand', () => {
  test.each([
    [
      { word: '$A$B', env: ['A=x y'] },
      { ok: true, result: 'x y', unmatched: ['B'] },
    ],
    [
      { word: '$A$B', env: ['A=x y'], mode: 'words' },
      { ok: true, result: ['x', 'y'], unmatched: ['B'] },
    ],
    [
      { word: '`$A', env: [], escape: '`', mode: 'matches' },
      { ok: true, result: '$A', unmatched: [] },
    ],
    [{ word: '${' }, { ok: false, error: `failed to process "\${": syntax error: missing '}'` }],
  ])('%j', (request, answer) => {
    expect(ask(debugExpand, request)).toEqual(answer)
  })
})

describe('debugIgnore', () => {
  test.each([
    [
      { patterns: ['a', '!a/b'], paths: ['a', 'a/b', 'a/c', 'd'] },
      { ok: true, excluded: [true, false, true, false] },
    ],
    [
      { file: '# c\n /a \n! a/b\n', paths: ['a', 'a/b', 'a/c'] },
      { ok: true, excluded: [true, false, true] },
    ],
    [
      { patterns: ['!'], paths: [] },
      { ok: false, error: 'illegal exclusion pattern: "!"' },
    ],
  ])('%j', (request, answer) => {
    expect(ask(debugIgnore, request)).toEqual(answer)
  })
})

describe('input that is no request', () => {
  test.each(['', '[]', '{"dockerfile":1}', 'null'])('%j is told, not thrown', (input) => {
    expect(JSON.parse(debugParse(input))).toMatchObject({ ok: false })
  })
})
