import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isTsOciError } from '../../../base/errors.ts'
import { checkDockerfile, parseDockerfile, parseInstructions } from './parse.ts'

// Messages as the docker CLI's BuildKit gave them for these files.
const ERRORS: [text: string, message: string][] = [
  ['', 'the Dockerfile cannot be empty'],
  ['#only comment\n', 'file with no instructions'],
  ['FROM scratch\nENV PATH\n', 'ENV must have two arguments'],
  ['FROM scratch\nENV a=b c\n', 'Syntax error - can\'t find = in "c". Must be of the form: name=value'],
  ['FROM scratch\nENV\n', 'dockerfile parse error on line 2: ENV requires at least one argument'],
  ['FROM scratch\nLABEL =x\n', 'dockerfile parse error on line 2: LABEL names can not be blank'],
  ['FROM scratch\nARG\n', 'dockerfile parse error on line 2: ARG requires at least one argument'],
  ['FROM scratch\nARG =x\n', 'dockerfile parse error on line 2: ARG names can not be blank'],
  ['CMD [ "echo", [ "nested json" ] ]\n', 'when using JSON array syntax, arrays must be comprised of strings only'],
  ['FROM scratch\nCMD ["a", 1]\n', 'when using JSON array syntax, arrays must be comprised of strings only'],
  ['FROM scratch\nRUN <<EOF\nx\n', 'unterminated heredoc'],
  [
    'FROM scratch\nCOPY <<EOF\nx\nEOF\n',
    'dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined',
  ],
  [
    'FROM scratch\nCOPY a <<EOF\nx\nEOF\n',
    'dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination',
  ],
  ['FROM\n', 'dockerfile parse error on line 1: FROM requires either one or three arguments'],
  ['FROM a b\n', 'dockerfile parse error on line 1: FROM requires either one or three arguments'],
  ['FROM a xx b\n', 'dockerfile parse error on line 1: FROM requires either one or three arguments'],
  [
    'FROM a AS 1b\n',
    'dockerfile parse error on line 1: invalid name for build stage: "1b", name can\'t start with a number or contain symbols',
  ],
  [
    'FROM a AS b$\n',
    'dockerfile parse error on line 1: invalid name for build stage: "b$", name can\'t start with a number or contain symbols',
  ],
  ['RUN x\nFROM scratch\n', 'no build stage in current context'],
  ['foo\n', 'dockerfile parse error on line 1: unknown instruction: foo (did you mean from?)'],
  ['FROM scratch\nCOPPY a b\n', 'dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)'],
  ['FROM scratch\ncopyy a b\n', 'dockerfile parse error on line 2: unknown instruction: copyy (did you mean copy?)'],
  ['FROM scratch\nADD --chwn=1 a b\n', 'dockerfile parse error on line 2: unknown flag: --chwn (did you mean chown?)'],
  [
    'FROM scratch\nCOPY --link=maybe a b\n',
    'dockerfile parse error on line 2: expecting boolean value for flag --link, not: maybe',
  ],
  ['FROM scratch\nCOPY --link= a b\n', 'dockerfile parse error on line 2: missing a value on flag: --link'],
  ['FROM scratch\nCOPY --from a b\n', 'dockerfile parse error on line 2: missing a value on flag: --from'],
  ['FROM scratch\nCOPY --from=x --from=y a b\n', 'dockerfile parse error on line 2: duplicate flag specified: --from'],
  [
    'FROM scratch\nCOPY a\n',
    'dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined',
  ],
  [
    'FROM scratch\nCOPY\n',
    'dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined',
  ],
  [
    'FROM scratch\nADD a\n',
    'dockerfile parse error on line 2: ADD requires at least two arguments, but only one was provided. Destination could not be determined',
  ],
  [
    'FROM scratch\nCOPY --x\n',
    'dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined',
  ],
  [
    'FROM scratch\nRUN --mount=type=bind,from=$x,target=/a y\n',
    "dockerfile parse error on line 2: 'from' doesn't support variable expansion, define alias stage instead",
  ],
  ['FROM scratch\nRUN --mount= x\n', 'dockerfile parse error on line 2: failed to parse csv mounts: EOF'],
  ['FROM scratch\nRUN --network=hots x\n', 'dockerfile parse error on line 2: invalid network mode "hots"'],
  ['FROM scratch\nRUN --device=a,name=b x\n', 'dockerfile parse error on line 2: device name already set to a'],
  ['FROM scratch\nHEALTHCHECK\n', 'dockerfile parse error on line 2: HEALTHCHECK requires at least one argument'],
  ['FROM scratch\nHEALTHCHECK NONE x\n', 'dockerfile parse error on line 2: HEALTHCHECK NONE takes no arguments'],
  ['FROM scratch\nHEALTHCHECK CMD\n', 'dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD'],
  [
    'FROM scratch\nHEALTHCHECK FOO x\n',
    'dockerfile parse error on line 2: Unknown type "FOO" in HEALTHCHECK (try CMD)',
  ],
  [
    'FROM scratch\nHEALTHCHECK --interval=1us CMD x\n',
    'dockerfile parse error on line 2: Interval "interval" cannot be less than 1ms',
  ],
  [
    'FROM scratch\nHEALTHCHECK --interval=5 CMD x\n',
    'dockerfile parse error on line 2: time: missing unit in duration "5"',
  ],
  [
    'FROM scratch\nHEALTHCHECK --interval=5x CMD x\n',
    'dockerfile parse error on line 2: time: unknown unit "x" in duration "5x"',
  ],
  [
    'FROM scratch\nHEALTHCHECK --interval=-5s CMD x\n',
    'dockerfile parse error on line 2: Interval "interval" cannot be less than 1ms',
  ],
  [
    'FROM scratch\nHEALTHCHECK --retries=-1 CMD x\n',
    'dockerfile parse error on line 2: --retries cannot be negative (-1)',
  ],
  [
    'FROM scratch\nHEALTHCHECK --retries=a CMD x\n',
    'dockerfile parse error on line 2: strconv.ParseInt: parsing "a": invalid syntax',
  ],
  [
    'FROM scratch\nHEALTHCHECK --retries=99999999999 CMD x\n',
    'dockerfile parse error on line 2: strconv.ParseInt: parsing "99999999999": value out of range',
  ],
  ['FROM scratch\nONBUILD\n', 'dockerfile parse error on line 2: ONBUILD requires at least one argument'],
  [
    'FROM scratch\nONBUILD ONBUILD RUN x\n',
    "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
  ],
  ['FROM scratch\nONBUILD FROM x\n', "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger"],
  [
    'FROM scratch\nONBUILD maintainer x\n',
    "dockerfile parse error on line 2: MAINTAINER isn't allowed as an ONBUILD trigger",
  ],
  ['FROM scratch\nONBUILD CMD [1]\n', 'when using JSON array syntax, arrays must be comprised of strings only'],
  ['FROM scratch\nSHELL x\n', 'dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form'],
  ['FROM scratch\nSHELL []\n', 'dockerfile parse error on line 2: SHELL requires at least one argument'],
  ['FROM scratch\nSHELL\n', 'dockerfile parse error on line 2: SHELL requires at least one argument'],
  ['FROM scratch\nSTOPSIGNAL\n', 'dockerfile parse error on line 2: STOPSIGNAL requires exactly one argument'],
  ['FROM scratch\nUSER\n', 'dockerfile parse error on line 2: USER requires exactly one argument'],
  ['FROM scratch\nWORKDIR\n', 'dockerfile parse error on line 2: WORKDIR requires exactly one argument'],
  ['FROM scratch\nVOLUME\n', 'dockerfile parse error on line 2: VOLUME requires at least one argument'],
  ['FROM scratch\nVOLUME [""]\n', 'dockerfile parse error on line 2: VOLUME specified can not be an empty string'],
  ['FROM scratch\nEXPOSE\n', 'dockerfile parse error on line 2: EXPOSE requires at least one argument'],
  ['FROM scratch\nMAINTAINER\n', 'dockerfile parse error on line 2: MAINTAINER requires exactly one argument'],
  ['FROM scratch\nMAINTAINER --x a\n', 'dockerfile parse error on line 2: unknown flag: --x'],
  ['FROM scratch\nUSER --x a\n', 'dockerfile parse error on line 2: unknown flag: --x'],
  ['# escape=x\nFROM scratch\n', "invalid escape token 'x' does not match ` or \\"],
  ['# escape=`\n# escape=`\nFROM scratch\n', 'only one escape parser directive can be used'],
  ['FROM scratch\nCMD --foo\n', 'dockerfile parse error on line 2: unknown flag: --foo'],
  ['FROM scratch\n\\\n', 'dockerfile parse error on line 2: unknown instruction: '],
  ['\\\n', 'dockerfile parse error on line 1: unknown instruction: '],
  ['FROM scratch\nLABEL a=b =c\n', 'dockerfile parse error on line 2: LABEL names can not be blank'],
  [
    'FROM scratch\nCOPY --chown=1 --chown=2 a b\n',
    'dockerfile parse error on line 2: duplicate flag specified: --chown',
  ],
  [
    'FROM scratch\nRUNN ["a\nEVN a=b\n',
    'dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)',
  ],
  ['FROM scratch\nEVN a=b\nCMD [1]\n', 'when using JSON array syntax, arrays must be comprised of strings only'],
  [
    'FROM scratch\nHEALTHCHECK --retries=5',
    'dockerfile parse error on line 2: HEALTHCHECK requires at least one argument',
  ],
  [
    'FROM scratch\nHEALTHCHECK --start-intervl=5s CMD x',
    'dockerfile parse error on line 2: unknown flag: --start-intervl (did you mean start-interval?)',
  ],
  [
    'FROM scratch\nADD --keep-git-dir=x a b\n',
    'dockerfile parse error on line 2: expecting boolean value for flag --keep-git-dir, not: x',
  ],
  [
    'FROM scratch\nFROM --platfrom=a b\n',
    'dockerfile parse error on line 2: unknown flag: --platfrom (did you mean platform?)',
  ],
  [
    'FROM --platform=a --platform=b scratch\n',
    'dockerfile parse error on line 1: duplicate flag specified: --platform',
  ],
  [
    'FROM scratch\nCOPY <<E"F /x\nE"F\n',
    'dockerfile parse error on line 3: unknown instruction: E"F (did you mean ENV?)',
  ],
]

describe('parseDockerfile', () => {
  test.each(ERRORS)('%j is refused in the words of BuildKit', (text, message) => {
    expect(() => parseDockerfile(text)).toThrow(expect.objectContaining({ code: 'OCI_DOCKERFILE_PARSE', message }))
  })

  test('instructions are gathered into stages, and ARGs above the first stand apart', () => {
    const { metaArgs, stages } = parseDockerfile(
      'ARG V=1\nFROM --platform=$P a:$V AS Base\nRUN x\nFROM base\nCOPY --from=0 a b\n',
    )
    expect(metaArgs.map(({ definitions }) => definitions)).toEqual([[{ key: 'V', value: '1', docComment: '' }]])
    expect(stages.map(({ name, baseName, platformFlag }) => [name, baseName, platformFlag])).toEqual([
      ['base', 'a:$V', '$P'],
      ['', 'base', ''],
    ])
    expect(stages.map(({ instructions }) => instructions.map(({ kind }) => kind))).toEqual([['run'], ['copy']])
  })

  test('a comment that begins with the name describes it', () => {
    const { metaArgs, stages } = parseDockerfile('# V the version\nARG V\n# base is the base\nFROM a AS BASE\n')
    expect(metaArgs[0]?.definitions[0]?.docComment).toBe('the version')
    expect(stages[0]?.docComment).toBe('is the base')
  })

  test('an error has its place and shows it', () => {
    expect(() => parseDockerfile('FROM scratch\n\nCOPY --chown=1 --form=x a b\n', { name: 'app.dockerfile' })).toThrow(
      expect.objectContaining({
        location: { file: 'app.dockerfile', startLine: 3, startColumn: 16, endLine: 3, endColumn: 24 },
        codeFrame: [
          'app.dockerfile:3',
          '--------------------',
          '   1 |     FROM scratch',
          '   2 |     ',
          '   3 | >>> COPY --chown=1 --form=x a b',
          '   4 |     ',
          '--------------------',
          '',
        ].join('\n'),
      }),
    )
  })

  test('what is wrong with a line is told before what is wrong with an instruction above it', () => {
    expect(() => parseDockerfile('FROM scratch\nEVN a=b\nENV PATH\n')).toThrow('ENV must have two arguments')
  })
})

describe('checkDockerfile', () => {
  test('all errors are told together, and what can be read is read', () => {
    const { errors, dockerfile } = checkDockerfile('USER a\nFROM scratch\nEVN a=b\nENV PATH\nRUN x\nCMD [1]\nVOLUME\n')
    expect(errors.map(({ message }) => message)).toEqual([
      'ENV must have two arguments',
      'when using JSON array syntax, arrays must be comprised of strings only',
      'no build stage in current context',
      'dockerfile parse error on line 3: unknown instruction: EVN (did you mean ENV?)',
      'dockerfile parse error on line 7: VOLUME requires at least one argument',
    ])
    expect(dockerfile.stages[0]?.instructions.map(({ kind }) => kind)).toEqual(['run'])
  })
})

describe('instructions', () => {
  function parse(text: string): unknown {
    return parseInstructions(text)[0]
  }

  test('COPY separates paths from contents, and removes the tabs of <<-', () => {
    expect(
      parse('COPY --chown=1:2 --chmod=a+x --link --parents --exclude=*.md --exclude=b x <<-"E" /d/\n\t\ta\n\tE\n'),
    ).toMatchObject({
      kind: 'copy',
      chown: '1:2',
      chmod: 'a+x',
      link: true,
      parents: true,
      excludePatterns: ['*.md', 'b'],
      sourcePaths: ['x'],
      sourceContents: [{ path: 'E', data: 'a\n', expand: false }],
      destination: '/d/',
    })
  })

  test('ADD tells a flag that is not written from one that is false', () => {
    expect(parse('ADD --unpack=false a b')).toMatchObject({ unpack: false, keepGitDir: undefined, link: false })
  })

  test('RUN keeps its mounts as written and knows its heredocs', () => {
    expect(parse('RUN --mount=type=cache,target=$X --network=none cat <<E\nx\nE\n')).toMatchObject({
      mountSpecs: ['type=cache,target=$X'],
      network: 'none',
      security: 'sandbox',
      command: { args: ['cat <<E'], prependShell: true, files: [{ name: 'E', data: 'x\n', chomp: false }] },
      flagsUsed: ['mount', 'network'],
    })
  })

  test('CMD in JSON form needs no shell, and may be empty', () => {
    expect(parse('CMD []')).toMatchObject({ command: { args: [], prependShell: false } })
  })

  test('HEALTHCHECK has times in nanoseconds', () => {
    expect(parse('HEALTHCHECK --interval=1m1.5s --retries=3 --start-interval=0 CMD ["a"]')).toMatchObject({
      test: ['CMD', 'a'],
      intervalNs: 61_500_000_000,
      timeoutNs: 0,
      retries: 3,
    })
    expect(parse('HEALTHCHECK cmd a b')).toMatchObject({ test: ['CMD-SHELL', 'a b'] })
    expect(parse('HEALTHCHECK --interval=x none')).toMatchObject({ test: ['NONE'] })
  })

  test('ONBUILD records the text of its instruction, heredocs put back', () => {
    expect(parse('OnBuild   RUN <<E\nx\nE\n')).toMatchObject({ expression: 'RUN <<E\nx\nE' })
  })

  test('EXPOSE sorts its words by bytes', () => {
    expect(parse('EXPOSE 80 443/TCP 8080:80')).toMatchObject({ ports: ['443/TCP', '80', '8080:80'] })
  })

  test('ENV in the old form takes the rest of the line', () => {
    expect(parse('ENV a b=c d')).toMatchObject({ pairs: [{ key: 'a', value: 'b=c d', noDelimiter: true }] })
  })
})

describe('any text', () => {
  const word = fc.constantFrom(
    'FROM',
    'RUN',
    'COPY',
    'ADD',
    'ENV',
    'ONBUILD',
    'HEALTHCHECK',
    'ARG',
    'CMD',
    'scratch',
    '--mount=',
    '--from=x',
    '<<EOF',
    '<<-"E"',
    'EOF',
    'E',
    '\\',
    '\\\n',
    '\n',
    '\r\n',
    ' ',
    '\t',
    '#',
    '"',
    "'",
    '$',
    '${',
    '}',
    '[',
    ']',
    '["a"]',
    '`',
    '# escape=`\n',
    '\0',
    '\ufeff',
    '\u0085',
    'é',
    'type=cache',
    ',',
    '=',
    'a',
  )
  const anything = fc.oneof(
    fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
    fc.string({ unit: 'binary', maxLength: 200 }),
  )

  test('is parsed or refused with an error of ours', () => {
    fc.assert(
      fc.property(anything, (text) => {
        try {
          parseDockerfile(text)
        } catch (error) {
          expect(isTsOciError(error)).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('as bytes is parsed or refused with an error of ours', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const { errors } = checkDockerfile(bytes)
        expect(errors.every(isTsOciError)).toBe(true)
      }),
    )
  })
})
