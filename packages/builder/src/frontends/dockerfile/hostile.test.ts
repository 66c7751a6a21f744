import { describe, expect, test } from '@jest/globals'
import { BuilderError } from '../../base/errors.ts'
import { lowerText } from './lower/environment.test.helper.ts'
import { findSuggestion } from '../../base/suggest.ts'

const BASE = 'FROM registry.example/base:1\n'
const many = (count: number, make: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => make(index)).join('')

async function outcome(text: string): Promise<BuilderError | undefined> {
  try {
    await lowerText(text)
    return undefined
  } catch (error) {
    if (error instanceof BuilderError) return error
    throw error
  }
}

describe('time grows with the file and no faster', () => {
  test.each([
    ['blanks in front of a delimiter', `${BASE}RUN <<${' '.repeat(60_000)}<\n`],
    ['blanks within a directive', `# syntax=${`x${' '.repeat(250)}`.repeat(250)}y\n${BASE}`],
    ['a keyword of 60,000 letters', `${BASE}${'x'.repeat(60_000)} a\n`],
    ['a base of 60,000 letters', `FROM ${'a'.repeat(60_000)}\n`],
    ['a base of 15,000 components', `FROM ${'a-a.'.repeat(15_000)}A\n`],
    ['a mount field without end', `${BASE}RUN --mount="${'a'.repeat(60_000)}\n`],
    ['misspelt variables among many', `${BASE}${many(3000, (i) => `ENV B${i}=b\n`)}${'ENV X=$UNKNOWN\n'.repeat(300)}`],
    ['30,000 continuations', `${BASE}RUN a${' \\\n b'.repeat(30_000)}\n`],
    ['30,000 comments in an instruction', `${BASE}RUN a \\\n${'# x\n'.repeat(30_000)} b\n`],
    ['one document of 100,000 lines', `${BASE}RUN <<E\n${'a\n'.repeat(100_000)}E\n`],
    [
      '2,000 documents of one step',
      `${BASE}RUN cat ${many(2000, (i) => `<<E${i} `)}\n${many(2000, (i) => `x\nE${i}\n`)}`,
    ],
    ['brackets 30,000 deep', `${BASE}CMD ${'['.repeat(30_000)}${']'.repeat(30_000)}\n`],
    ['6,000 instructions', BASE + 'ENV A=1\nRUN true\n'.repeat(3000)],
    ['2,000 stages one on the other', `FROM scratch AS s0\n${many(2000, (i) => `FROM s${i} AS s${i + 1}\n`)}`],
    ['2,000 stages in a circle', many(2000, (i) => `FROM scratch AS s${i}\nCOPY --from=s${(i + 1) % 2000} / /\n`)],
    [
      'stages that each read the one before twice',
      `FROM scratch AS s0\n${many(500, (i) => `FROM scratch AS s${i + 1}\nCOPY --from=s${i} /a /\nCOPY --from=s${i} /b /\n`)}`,
    ],
    ['2,000 triggers', `FROM scratch AS a\n${'ONBUILD COPY x y\n'.repeat(2000)}FROM a\n`],
  ])('%s', async (_, text) => {
    const startMs = Date.now()
    const error = await outcome(text)
    expect(Date.now() - startMs).toBeLessThan(4000)
    // An excerpt is for people.
    expect(error?.codeFrame?.length ?? 0).toBeLessThan(300_000)
  })
})

describe('names that JavaScript knows', () => {
  const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__']

  test.each(NAMES)(
    '%s is a variable, an argument, a label, a port of nothing and a stage like others',
    async (name) => {
      const stage = name.toLowerCase().replace(/^_+/, 'x')
      const { config, history } = await lowerText(
        `ARG ${name}=g\nFROM scratch AS ${stage}\nARG ${name}\nENV E_\${${name}}=1 ${name}=v\nLABEL ${name}=l\nVOLUME /${name}\n` +
          `FROM ${stage}\nCOPY --from=${stage} \${${name}} /\${${name}:-w}\n`,
        { buildArgs: new Map([[name, 'given']]) },
      )
      expect(config.config?.Env?.slice(1)).toEqual([`E_given=1`, `${name}=v`])
      expect(Object.entries(config.config?.Labels ?? {})).toEqual([[name, 'l']])
      expect(Object.keys(config.config?.Volumes ?? {})).toEqual([`/${name}`])
      expect(JSON.parse(JSON.stringify(config.config)) as unknown).toEqual(config.config)
      expect(history.at(-1)?.created_by).toBe('COPY v /v # buildkit')
    },
  )

  test.each(NAMES)('%s is no instruction, flag, directive, mount key or image that is known', async (name) => {
    for (const [text, message] of [
      [`${BASE}${name} a`, 'unknown instruction'],
      [`${BASE}COPY --${name}=x a b`, 'unknown flag'],
      [`${BASE}RUN --mount=type=cache,target=/c,${name}=x true`, 'unexpected key'],
      [`${BASE}RUN --mount=type=${name},target=/c true`, 'unsupported mount type'],
      [`${BASE}RUN --network=${name} true`, 'invalid network mode'],
      [`${BASE}RUN --mount=type=cache,target=/c,sharing=${name} true`, 'unsupported sharing value'],
      [`${BASE}HEALTHCHECK ${name} a`, 'Unknown type'],
      [`${BASE}STOPSIGNAL ${name}`, 'invalid signal'],
      [`${BASE}EXPOSE 80/${name}`, 'invalid proto'],
      [`# check=${name}=x\n${BASE}`, 'invalid check option'],
    ])
      expect((await outcome(text!))?.message).toContain(message)
    expect(await outcome(`# ${name}=x\n${BASE}`)).toBeUndefined()
  })
})

test('constructor is no algorithm of digests', async () => {
  for (const text of [
    `FROM a@constructor:${'0'.repeat(64)}`,
    `${BASE}ADD --checksum=constructor:abc https://registry.example/x /`,
  ])
    expect((await outcome(text))?.message).toContain('unsupported digest algorithm')
})

test('a suggestion is at most two edits away', () => {
  expect(findSuggestion('RUNN', ['RUN', 'USER'])).toBe('RUN')
  expect(findSuggestion('kitten', ['sitting', 'mittens'], { caseSensitive: true })).toBe('mittens')
  expect(findSuggestion('ab', ['ba'])).toBe('ba')
  expect(findSuggestion('abcd', ['bcde', 'xbcdy'])).toBe('bcde')
  expect(findSuggestion('abc', ['xyz', 'abcdef'])).toBeUndefined()
  expect(findSuggestion('', ['ab', 'abc'])).toBe('ab')
})
