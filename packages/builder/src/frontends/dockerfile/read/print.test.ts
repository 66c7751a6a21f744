import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Heredoc, RawInstruction } from './ast.ts'
import type { EscapeToken } from '../expand/types.ts'
import { parseDockerfile } from './parse.ts'
import { printDockerfile, printInstructions } from './print.ts'
import { splitDockerfile } from './split.ts'

/** What a generator makes: an instruction without its place. */
type Drawn = Pick<RawInstruction, 'keyword' | 'flags' | 'args' | 'json' | 'heredocs' | 'comments'> & {
  readonly child?: Drawn
}

function dress(drawn: Drawn, escape: EscapeToken): RawInstruction {
  const { location } = splitDockerfile('FROM scratch').instructions[0]!
  const child = drawn.child === undefined ? undefined : dress(drawn.child, escape)
  return { ...drawn, escape, location, original: '', ...(child && { child }) } as RawInstruction
}

function undress({ keyword, flags, args, json, heredocs, comments, child }: RawInstruction): Drawn {
  return { keyword, flags, args, json, heredocs, comments, ...(child && { child: undress(child) }) }
}

const casing = (keyword: string): fc.Arbitrary<string> => fc.constantFrom(keyword, keyword.toLowerCase())
const characters = fc.constantFrom(...'abAB019-_./:=,#@$%[]{}"\'\\`<>é\u4e2d🚀'.split(/(?:)/u), '\0', '\u00a0')
const blank = fc.constantFrom(' ', '  ', '\t')

/** Words without blanks; what would make a heredoc or a quote of them is tried by other generators. */
const plainWord = fc.string({
  unit: fc.constantFrom(...'abAB019-_./:=,#@$%{}é🚀'.split(/(?:)/u)),
  minLength: 1,
  maxLength: 8,
})
const flagText = fc.string({ unit: fc.constantFrom(...'ab=, \'"\\`/$'.split('')), maxLength: 8 })
const flags = fc
  .array(fc.tuple(fc.constantFrom('from', 'mount', 'x'), flagText), { maxLength: 3 })
  .map((list) => list.map(([name, value]) => `--${name}=${value}`))
const jsonWords = fc.array(fc.string({ unit: 'binary', maxLength: 10 }), { maxLength: 4 })
const commentText = fc.string({ unit: fc.constantFrom(...'ab=#: check'.split('')), minLength: 1, maxLength: 12 })
const comments = fc.array(
  commentText.map((text) => `x${text}`.trim()),
  { maxLength: 2 },
)

function draw(keyword: string, parts: fc.Arbitrary<Partial<Drawn>>): fc.Arbitrary<Drawn> {
  return fc.record({ keyword: casing(keyword), flags, comments, parts }).map(({ parts, ...head }) => ({
    args: [],
    json: false,
    heredocs: [],
    ...head,
    ...parts,
  }))
}

const shellText = fc
  .array(fc.oneof(fc.string({ unit: characters, minLength: 1, maxLength: 6 }), blank), { minLength: 1, maxLength: 8 })
  .map((parts) =>
    parts
      .join('')
      .replaceAll('<<', '<')
      .replace(/^[\s\p{Z}]+|[\s\p{Z}]+$/gu, ''),
  )
  .filter((text) => text !== '' && !/^\s*\[/.test(text))

const bodyLine = fc
  .string({ unit: fc.constantFrom(...'ab#\\`"\'$ \t'.split('')), maxLength: 6 })
  .map((text) => `${text}\n`)
const heredoc: fc.Arbitrary<Heredoc> = fc.record({
  name: fc.constantFrom('EOF', 'E2', 'Name.txt'),
  content: fc.array(bodyLine, { maxLength: 4 }).map((lines) => lines.join('')),
  expand: fc.boolean(),
  chomp: fc.boolean(),
  fd: fc.constantFrom(0, 3),
})
const startOf = ({ name, expand, chomp, fd }: Heredoc): string =>
  `${fd === 0 ? '' : fd}<<${chomp ? '-' : ''}${expand ? name : `"${name}"`}`

const command = (keyword: string): fc.Arbitrary<Drawn> =>
  draw(
    keyword,
    fc.oneof(
      shellText.map((text) => ({ args: [text] })),
      jsonWords.map((args) => ({ args, json: true })),
    ),
  )
const pairWord = fc.tuple(
  plainWord.filter((word) => !word.includes('=') && !word.includes('"')),
  plainWord,
)
const pairs = (keyword: string): fc.Arbitrary<Drawn> =>
  draw(
    keyword,
    fc.oneof(
      fc
        .array(pairWord, { minLength: 1, maxLength: 4 })
        .map((list) => ({ args: list.flatMap(([key, value]) => [key, value, '=']) })),
      fc.tuple(pairWord, shellText).map(([[key], value]) => ({ args: [key, value, ''] })),
    ),
  )
const list = (keyword: string): fc.Arbitrary<Drawn> =>
  draw(
    keyword,
    fc.oneof(
      fc.array(plainWord, { minLength: 1, maxLength: 4 }).map((args) => ({ args })),
      jsonWords.map((args) => ({ args, json: true })),
    ),
  )
const withHeredocs = (keyword: string): fc.Arbitrary<Drawn> =>
  draw(
    keyword,
    fc
      .tuple(fc.array(heredoc, { minLength: 1, maxLength: 3 }), fc.constantFrom('/', '/a', 'b/é'))
      .map(([heredocs, last]) =>
        /run/i.test(keyword)
          ? { heredocs, args: [`cat ${heredocs.map(startOf).join(' ')} > ${last}`] }
          : { heredocs, args: [...heredocs.map(startOf), last] },
      ),
  )
const whole = (keyword: string): fc.Arbitrary<Drawn> =>
  draw(
    keyword,
    shellText.map((text) => ({ args: [text] })),
  )
const simple = fc.oneof(
  command('RUN'),
  command('CMD'),
  command('ENTRYPOINT'),
  command('SHELL'),
  pairs('ENV'),
  pairs('LABEL'),
  list('COPY'),
  list('ADD'),
  list('VOLUME'),
  draw(
    'EXPOSE',
    fc.array(plainWord, { minLength: 1, maxLength: 3 }).map((args) => ({ args })),
  ),
  draw(
    'ARG',
    fc.array(plainWord, { minLength: 1, maxLength: 3 }).map((args) => ({ args })),
  ),
  draw(
    'HEALTHCHECK',
    fc.oneof(
      shellText.map((text) => ({ args: ['CMD', text] })),
      jsonWords.map((args) => ({ args: ['CMD', ...args], json: true })),
    ),
  ),
  whole('USER'),
  whole('WORKDIR'),
  whole('STOPSIGNAL'),
  whole('MAINTAINER'),
)
const triggered = fc.tuple(simple, casing('ONBUILD'), comments).map(([child, keyword, comments]): Drawn => ({
  keyword,
  flags: [],
  args: [child.keyword, ...child.args],
  json: false,
  heredocs: [],
  comments,
  child: { ...child, comments: [] },
}))
const file = fc.array(fc.oneof(simple, withHeredocs('RUN'), withHeredocs('COPY'), withHeredocs('ADD'), triggered), {
  minLength: 1,
  maxLength: 8,
})

describe('printInstructions', () => {
  test('what is printed is parsed as the same instructions', () => {
    fc.assert(
      fc.property(file, fc.constantFrom<EscapeToken>('\\', '`'), (drawn, escape) => {
        const {
          instructions: [from],
        } = splitDockerfile('FROM scratch')
        const value = { name: 'escape' as const, value: escape, location: from!.location }
        const text = printInstructions(
          drawn.map((one) => dress(one, escape)),
          { escape: value },
        )
        const parsed = splitDockerfile(text)
        expect(parsed.errors).toEqual([])
        expect(parsed.instructions.map(undress)).toEqual(drawn)
      }),
      { numRuns: 1000 },
    )
  })

  test('a line longer than a file may have is broken', () => {
    const drawn: Drawn = {
      keyword: 'RUN',
      flags: [],
      args: [`a${' #é\\'.repeat(60_000)} b`],
      json: false,
      heredocs: [],
      comments: [],
    }
    const parsed = splitDockerfile(printInstructions([dress(drawn, '\\')]))
    expect(parsed.errors).toEqual([])
    expect(parsed.instructions.map(undress)).toEqual([drawn])
  })
})

describe('printDockerfile', () => {
  const withoutPlaces = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (key, part: unknown) =>
        ['location', 'source', 'original', 'warnings', 'cause'].includes(key) ? undefined : part,
      ),
    )

  test.each([
    '# syntax=docker/dockerfile:1\n# escape=`\nARG A=1\nFROM a AS b\nRUN x `\n  y\nCOPY <<E /x\n\tq\nE\n',
    '# base the base\nFROM a AS base\n# c\nENV a="b c" d=e\nONBUILD RUN <<E\nx\nE\n',
    'FROM scratch\nCMD ["a",\v"b"]\nCOPY ["a",\v"b"]\nRUN -- --x\nRUN a\\\f\nCOPY --from=é a b\n',
  ])('a file is printed so that it means the same: %j', (text) => {
    const parsed = parseDockerfile(text)
    expect(withoutPlaces(parseDockerfile(printDockerfile(parsed)))).toEqual(withoutPlaces(parsed))
  })
})
