import { describe, expect, test } from '@jest/globals'
import { textOf } from '../../../base/source.ts'
import { rangesOf } from './ranges.ts'
import { splitDockerfile } from './split.ts'

function parts(text: string, index = 0): { keyword: string; flags: string[]; args: string[] } {
  const { keyword, flags, args } = rangesOf(splitDockerfile(text).instructions[index]!)
  return { keyword: textOf(keyword), flags: flags.map(textOf), args: args.map(textOf) }
}

describe('rangesOf', () => {
  test('finds keyword, flags and words', () => {
    expect(parts('FROM a\n  COPY --from=a --link b  c\n', 1)).toEqual({
      keyword: 'COPY',
      flags: ['--from=a', '--link'],
      args: ['b', 'c'],
    })
  })

  test('finds words in continued lines, behind comments', () => {
    expect(parts('COPY \\\n  # x\n  a \\\n  b c')).toMatchObject({ args: ['a', 'b', 'c'] })
  })

  test('finds JSON strings with blanks in them', () => {
    expect(parts('COPY ["a b", "c"]')).toMatchObject({ args: ['"a b"', '"c"'] })
  })

  test('finds a whole shell command behind its flags, without the body of its heredoc', () => {
    expect(parts('RUN --network=none cat <<E \\\n && x\nbody\nE\n')).toMatchObject({
      flags: ['--network=none'],
      args: ['cat <<E \\\n && x'],
    })
  })

  test('finds names and values of ENV', () => {
    expect(parts('ENV a=b c="d e"')).toMatchObject({ args: ['a', 'b', 'c', '"d e"'] })
  })

  test('reads with the escape character of the file', () => {
    expect(parts('# escape=`\nCOPY a `\n b\n')).toMatchObject({ args: ['a', 'b'] })
  })

  test('gives the whole instruction for a flag that is written otherwise than it reads', () => {
    expect(parts('RUN --a="b c" x')).toEqual({ keyword: 'RUN', flags: ['RUN --a="b c" x'], args: ['x'] })
  })
})
