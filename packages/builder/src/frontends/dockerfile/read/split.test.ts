import { describe, expect, test } from '@jest/globals'
import { textOf } from '../../../base/source.ts'
import { decodeText } from '../../../base/text.ts'
import { splitDockerfile } from './split.ts'

function split(text: string): string[][] {
  const { instructions, errors } = splitDockerfile(text)
  expect(errors).toEqual([])
  return instructions.map(({ keyword, flags, args }) => [keyword, ...flags, ...args])
}

function firstError(text: string): string | undefined {
  return splitDockerfile(text).errors[0]?.message
}

describe('lines', () => {
  test('a continued line is joined as it is, the indentation of the next line included', () => {
    expect(split('RUN a \\\n    && b\\\nc\n')).toEqual([['RUN', 'a     && bc']])
  })

  test('a keyword may continue in the next line', () => {
    expect(split('FR\\\nOM scratch\n')).toEqual([['FROM', 'scratch']])
  })

  test('blanks behind the escape character do not matter', () => {
    expect(split('RUN a \\ \t \nb\n')).toEqual([['RUN', 'a b']])
  })

  test('an escaped escape character at the end continues nothing', () => {
    expect(split('RUN x \\\\\nRUN y\n')).toEqual([
      ['RUN', 'x \\\\'],
      ['RUN', 'y'],
    ])
  })

  test('comments between continued lines are dropped, indented ones too', () => {
    expect(split('RUN a \\\n# one\n   # two \\\n  b\n')).toEqual([['RUN', 'a   b']])
  })

  test('a # within a line begins no comment', () => {
    expect(split('RUN a # b\n')).toEqual([['RUN', 'a # b']])
  })

  test('empty continuation lines are skipped and told of, at the last line of the instruction', () => {
    const { instructions, warnings } = splitDockerfile('FROM scratch\nRUN a \\\n\n  b\n')
    expect(instructions[1]?.args).toEqual(['a   b'])
    expect(warnings).toEqual([
      expect.objectContaining({ message: 'Empty continuation line found in: RUN a   b', lines: [3] }),
    ])
    expect(warnings[0]?.location.start.line).toBe(4)
  })

  test('a continuation at the end of the file ends there', () => {
    expect(split('RUN a \\')).toEqual([['RUN', 'a']])
  })

  test('a byte order mark and CRLF line ends are no part of the text', () => {
    expect(split('\ufeffFROM scratch\r\nRUN a \\\r\n  b\r\n')).toEqual([
      ['FROM', 'scratch'],
      ['RUN', 'a   b'],
    ])
  })

  test('a line of 65,535 bytes is read, one byte more is refused', () => {
    const longest = `ENV a=${'x'.repeat(65_535 - 6)}`
    expect(firstError(`FROM scratch\n${longest}\n`)).toBeUndefined()
    expect(firstError(`FROM scratch\n${longest}`)).toBeUndefined()
    expect(firstError(`FROM scratch\n${longest}x\n`)).toBe('dockerfile line greater than max allowed size of 65535')
  })

  test('the length of a line counts bytes', () => {
    expect(firstError(`FROM scratch\nENV a=${'é'.repeat(32_768)}\n`)).toBe(
      'dockerfile line greater than max allowed size of 65535',
    )
  })

  test('NUL bytes are characters like others', () => {
    expect(split('ENV a=\0b\n')).toEqual([['ENV', 'a', '\0b', '=']])
  })

  test('a byte that is no UTF-8 is one replacement character in words, and kept in a shell command', () => {
    const { instructions } = splitDockerfile(decodeText(Buffer.from('ENV a=\xff\xe2\x82\nRUN \xff\n', 'latin1')))
    expect(instructions[0]?.args).toEqual(['a', '\ufffd\ufffd\ufffd', '='])
    expect(instructions[1]?.args).toEqual(['\udcff'])
  })

  test('an instruction has its place, from the keyword to the last line', () => {
    const { instructions } = splitDockerfile('FROM scratch\n  COPY <<A \\\n  /x\nbody\nA\nRUN y')
    expect(textOf(instructions[1]!.location)).toBe('COPY <<A \\\n  /x\nbody\nA')
    expect(instructions[1]!.location.start).toEqual({ line: 2, column: 3 })
  })
})

describe('directives', () => {
  test('the escape character can be a backtick, and then a backslash is ordinary', () => {
    expect(split('# escape=`\nRUN a `\n b\\\nRUN c\n')).toEqual([
      ['RUN', 'a  b\\'],
      ['RUN', 'c'],
    ])
  })

  test('names are read in any case, with blanks around', () => {
    const { directives } = splitDockerfile('#  SYNTAX = a/b:1 c \n# Check=skip=all\nFROM scratch\n')
    expect(directives.syntax?.value).toBe('a/b:1 c')
    expect(directives.check?.value).toBe('skip=all')
  })

  test.each(['# hello', '', 'FROM scratch', '# foo=bar', '# a b = c'])('%j ends them', (line) => {
    expect(splitDockerfile(`${line}\n# escape=x\nFROM scratch\n`).errors).toEqual([])
  })

  test('one that comes twice is refused', () => {
    expect(firstError('# escape=`\n# ESCAPE=`\nFROM scratch\n')).toBe('only one escape parser directive can be used')
  })

  test('another escape character is refused', () => {
    expect(firstError('# escape=x\nFROM scratch\n')).toBe("invalid escape token 'x' does not match ` or \\")
  })
})

describe('comments above an instruction', () => {
  test('belong to it, up to the last empty one', () => {
    const { instructions } = splitDockerfile('# escape=`\n# x\n#\n# a  b \n\n# c\nFROM scratch\nRUN x\n')
    expect(instructions[0]?.comments).toEqual(['a  b', 'c'])
    expect(instructions[1]?.comments).toEqual([])
  })
})

describe('heredocs', () => {
  function heredocs(text: string): unknown[] {
    return splitDockerfile(text).instructions.flatMap(({ heredocs }) => heredocs)
  }

  test('the body is kept byte for byte, with its comments, continuations and line ends', () => {
    expect(heredocs('RUN <<EOF\n# a\\\n\tb\r\n  EOF\nEOF\n')).toEqual([
      { name: 'EOF', content: '# a\\\n\tb\r\n  EOF\n', expand: true, chomp: false, fd: 0 },
    ])
  })

  test.each([
    ['<<EOF', 'EOF', true, false, 0],
    ['<<-EOF', 'EOF', true, true, 0],
    ['3<<EOF', 'EOF', true, false, 3],
    ['<< EOF', 'EOF', true, false, 0],
    [`<<'EOF'`, 'EOF', false, false, 0],
    ['<<"EOF"', 'EOF', false, false, 0],
    ['<<E"O"F', 'EOF', false, false, 0],
    ['<<"one two"', 'one two', false, false, 0],
    [`<<'e'o\\'f`, `eo'f`, false, false, 0],
  ])('%s names its delimiter', (word, name, expand, chomp, fd) => {
    expect(heredocs(`RUN cat ${word}\nx\n${name}\n`)).toEqual([{ name, content: 'x\n', expand, chomp, fd }])
  })

  test('several on a line follow one another', () => {
    expect(heredocs('COPY <<a <<-b /x/\n1\na\n2\n\tb\n')).toEqual([
      expect.objectContaining({ name: 'a', content: '1\n' }),
      expect.objectContaining({ name: 'b', content: '2\n' }),
    ])
  })

  test.each(['RUN echo "a <<EOF b"', 'RUN ["<<EOF"]', 'ENV a=<<EOF', 'RUN echo $((1<<2))', `RUN echo '<<EOF"`])(
    '%s has none',
    (line) => {
      expect(heredocs(`${line}\nRUN x\n`)).toEqual([])
    },
  )

  test('ONBUILD passes them to the instruction inside', () => {
    expect(heredocs('ONBUILD RUN <<EOF\nx\nEOF\n')).toEqual([expect.objectContaining({ name: 'EOF', content: 'x\n' })])
  })

  test('one that does not end is refused', () => {
    expect(firstError('FROM scratch\nRUN <<EOF\nEOF2\n')).toBe('unterminated heredoc')
  })
})

describe('arguments', () => {
  test.each([
    ['ENV a=b "c d"=e f=\'g h\'', ['a', 'b', '=', '"c d"', 'e', '=', 'f', "'g h'", '=']],
    ['ENV a b  c', ['a', 'b  c', '']],
    ['LABEL a="b \\" c" d=e\\ f', ['a', '"b \\" c"', '=', 'd', 'e\\ f', '=']],
    ['ARG a b="2 3" c', ['a', 'b="2 3"', 'c']],
    ['COPY a "b c" /d', ['a', '"b', 'c"', '/d']],
    ['COPY ["a b", "\\u0041\\n"]', ['a b', 'A\n']],
    ["CMD ['a']", ["['a']"]],
    ['CMD ["a",]', ['["a",]']],
    ['CMD ["a"] && b', ['["a"] && b']],
    ['HEALTHCHECK CMD ["a", "b"]', ['CMD', 'a', 'b']],
    ['HEALTHCHECK  cmd   a b', ['cmd', 'a b']],
    ['RUN a\t\tb', ['a\t\tb']],
    ['EXPOSE 1\t2\v3', ['1', '2', '3']],
    ['USER a b', ['a b']],
    ['CMD ["a\\ud800"]', ['a\ufffd']],
    ['CMD [1e999]', ['[1e999]']],
  ])('%s', (line, args) => {
    expect(split(`${line}\n`)[0]!.slice(1)).toEqual(args)
  })

  test.each(['["a",42]', '[{}]', '[null]', '[["a"]]', '[true]'])(
    'an array of anything but strings is refused: %s',
    (array) => {
      expect(firstError(`CMD ${array}\n`)).toBe(
        'when using JSON array syntax, arrays must be comprised of strings only',
      )
    },
  )
})

describe('flags', () => {
  test.each([
    ['RUN --a=b c', ['--a=b', 'c']],
    ['RUN --a="b c" --d=e\\ f g', ['--a=b c', '--d=e f', 'g']],
    ["RUN --a='b\\'c' d", ["--a=b'c", 'd']],
    ['RUN -- --a b', ['--a b']],
    ['RUN foo--bar --baz', ['foo--bar --baz']],
    ['RUN --', []],
    // Their characters are bytes: the two of U+00E9 are read as Latin-1.
    ['COPY --from=é a b', ['--from=\u00c3\u00a9', 'a', 'b']],
  ])('%s', (line, words) => {
    expect(split(`${line}\n`)[0]!.slice(1)).toEqual(words)
  })
})

describe('large files', () => {
  test('100,000 instructions take linear time', () => {
    const build = (count: number): number => {
      const text = 'RUN a \\\n  b\nCOPY <<E /x\nbody\nE\n'.repeat(count / 2)
      const start = performance.now()
      expect(splitDockerfile(text).instructions).toHaveLength(count)
      return performance.now() - start
    }
    build(10_000)
    const small = Math.max(build(10_000), 5)
    expect(build(100_000)).toBeLessThan(small * 40)
  })

  test('ONBUILD nested without end does not exhaust the stack', () => {
    const { instructions, errors } = splitDockerfile('ONBUILD '.repeat(8000))
    expect(errors).toEqual([])
    expect(instructions).toHaveLength(1)
  })
})
