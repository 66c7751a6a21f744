import { describe, expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import fc from 'fast-check'
import { BuilderError } from '../../../base/errors.ts'
import { lowerText } from './environment.test.helper.ts'

async function messageOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof BuilderError)
      return `${error.message}${error.location === undefined ? '' : ` @${error.location.startLine}`}`
    throw error
  }
  return ''
}

test('a name of one word that is no image may be meant for a context', async () => {
  await expect(lowerText('FROM shared AS x\nCOPY --from=common / /\n')).rejects.toMatchObject({
    hint: expect.stringMatching(
      /if (shared|common) is a named context, give --build-context (shared|common)=DIRECTORY$/,
    ),
  })
  await expect(lowerText('FROM registry.example/none:1\n')).rejects.not.toMatchObject({
    hint: expect.stringContaining('--build-context'),
  })
})

test('a name that is nearly that of a stage is first of all a misspelt one', async () => {
  await expect(lowerText('FROM scratch AS build\nFROM scratch\nCOPY --from=biuld /a /\n')).rejects.toMatchObject({
    message: expect.stringMatching(
      /^no stage is named biuld \(did you mean build\?\), and as an image: failed to resolve .*biuld:latest: not found$/,
    ),
    location: { startLine: 3 },
  })
})

// Messages and lines are those of BuildKit (of Docker 28.5) for the same files.
describe('errors', () => {
  const B = 'FROM registry.example/base:1'
  test.each([
    ['FROM $X', 'base name ($X) should not be blank @1'],
    [
      `${B} AS Foo\nFROM Foo`,
      'failed to parse stage name "Foo": invalid reference format: repository name (library/Foo) must be lowercase @2',
    ],
    [`${B} AS a\nFROM a AS b\nCOPY --from=b / /`, 'circular dependency detected on stage: b @3'],
    [
      `${B} AS x\nCOPY --from=y a b\nFROM ${B.slice(5)} AS y\nCOPY --from=x a b`,
      'circular dependency detected on stage: x @2',
    ],
    [`${B} AS x\nCOPY --from=y a b\nFROM ${B.slice(5)} AS y`, ''],
    [
      `${B} AS y\nFROM ${B.slice(5)} AS x\nCOPY --from=z a b\nFROM y AS z\nFROM x`,
      'cannot copy from stage "z", it needs to be defined before current stage "x" @3',
    ],
    ['FROM --platform=$P scratch', 'empty platform value from expression $P @1'],
    [
      'FROM --platform=$TARGETPLATFOM scratch',
      'empty platform value from expression $TARGETPLATFOM (did you mean TARGETPLATFORM?) @1',
    ],
    [
      'FROM --platform=foo scratch',
      'failed to parse platform foo: "foo": unknown operating system or architecture: invalid argument @1',
    ],
    ['FROM a/b@sha256:abc', 'failed to parse stage name "a/b@sha256:abc": invalid reference format @1'],
    [`${B}\nCOPY --from=7 a b`, 'invalid stage index 7 @2'],
    [
      `${B}\nCOPY --from=$x a b`,
      'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround @2',
    ],
    [`${B}\nRUN --mount=type=cache,target=/ true`, 'invalid mount target "/" @2'],
    [`${B}\nRUN --mount=type=ssh,source=x true`, 'ssh does not support source @2'],
    [`${B}\nCOPY --chmod=foo a b`, 'invalid syntax @2'],
    [
      `${B}\nCOPY --chmod=0999 a b`,
      "invalid chmod parameter: '0999'. it should be octal string and between 0 and 07777 @2",
    ],
    [`${B}\nCOPY --chmod=u+x, a b`, 'invalid syntax @2'],
    [`${B}\nCOPY http://x/y /z`, "source can't be a URL for COPY @2"],
    [`${B}\nCOPY https://github.com/x/y.git /z`, "source can't be a git ref for COPY @2"],
    [`${B}\nADD --checksum=sha256:abc a b`, 'checksum requires HTTP(S) or Git sources @2'],
    [`${B}\nADD --checksum=sha256:abc http://localhost:1/a b`, 'invalid checksum digest length @2'],
    [`${B}\nADD --checksum=sha256:abc a c b`, "checksum can't be specified for multiple sources @2"],
    [`${B}\nADD https://github.com/x/y.git?foo=bar /z`, 'unexpected query "foo" @2'],
    [`${B}\nADD https://github.com/x/y.git?branch=a&tag=b /z`, 'branch conflicts with tag @2'],
    [`${B}\nADD https://github.com/x/y.git?ref=a#b /z`, 'ref conflicts: "b" vs "a" @2'],
    [
      `${B}\nADD --keep-git-dir=true https://github.com/x/y.git?keep-git-dir=false /z`,
      'inconsistent keep-git-dir configuration @2',
    ],
    [`${B}\nEXPOSE foo`, 'invalid containerPort: foo @2'],
    [`${B}\nEXPOSE 80/foo`, 'invalid port: "80/foo": invalid proto: foo @2'],
    [`${B}\nEXPOSE /tcp`, 'invalid port: "/tcp": no port specified @2'],
    [`${B}\nEXPOSE 1.2.3:80:80`, 'invalid IP address: 1.2.3 @2'],
    [`${B}\nEXPOSE 1-5:80-81`, 'invalid ranges specified for container and host Ports: 80-81 and 1-5 @2'],
    [`${B}\nSTOPSIGNAL SIGRTMIN+16`, 'invalid signal: SIGRTMIN+16 @2'],
    [`${B}\nSTOPSIGNAL rtmax-14`, ''],
    [`${B}\nVOLUME $x`, 'VOLUME specified can not be an empty string @2'],
    [`${B}\nENV a=\${b:?msg}`, 'failed to process "${b:?msg}": b: msg @2'],
    ['ARG a=${b:-c\nFROM scratch', 'failed to process "${b:-c": syntax error: missing \'}\' @1'],
    [`${B} AS a\nONBUILD COPY --from=9 / /x\nFROM a`, 'invalid stage index 9 @3'],
    [`${B}\nCOPY <<A /\n\${x:?no}\nA`, 'failed to process "${x:?no}\\n": x: no @2'],
    [`${B}\nRUN []`, 'failed to marshal LLB definition: arguments are required @2'],
    [
      `${B} AS base\nFROM bse`,
      'bse: failed to resolve source metadata for docker.io/library/bse:latest: docker.io/library/bse:latest: not found (did you mean base?) @2',
    ],
  ])('%j', async (text, message) => {
    expect(await messageOf(lowerText(`${text}\n`))).toBe(message)
  })

  test('a target that does not exist is told with the nearest name', async () => {
    expect(await messageOf(lowerText('FROM scratch AS build\n', { target: 'biuld' }))).toBe(
      'target stage "biuld" could not be found (did you mean build?)',
    )
  })

  test('only stages that have a name are offered as targets', async () => {
    const hintOf = (text: string): Promise<unknown> =>
      lowerText(text, { target: 'stage-0' }).catch((error: { hint?: string }) => error.hint)
    expect(await hintOf('FROM scratch\n')).toBe('no stage has a name: FROM IMAGE AS NAME gives one')
    expect(await hintOf('FROM scratch AS build\nFROM scratch\n')).toBe('stages with a name: build')
  })

  test('a time that is no time is told', async () => {
    expect(await messageOf(lowerText('FROM scratch\n', { buildArgs: new Map([['SOURCE_DATE_EPOCH', 'soon']]) }))).toBe(
      'invalid SOURCE_DATE_EPOCH: soon',
    )
  })

  test('a finding fails the build when the file says so', async () => {
    const text = '# check=error=true\nFROM scratch\nCMD x\nMAINTAINER y\n'
    expect(await messageOf(lowerText(text))).toBe(
      'lint violation found for rules: MaintainerDeprecated, JSONArgsRecommended @4',
    )
    expect(
      await messageOf(lowerText(text, { buildArgs: new Map([['BUILDKIT_DOCKERFILE_CHECK', 'skip=all;error=true']]) })),
    ).toBe('')
  })
})

test('whatever stands in the file, nothing but our error is thrown', async () => {
  const word = fc.constantFrom(
    'a',
    '$x',
    '${x',
    '"',
    "'",
    '/',
    '..',
    '--from=a',
    '--from=0',
    '--link',
    '--chmod=7',
    '--mount=type=cache,target=/c',
    '--mount=from=a',
    '<<E',
    '["a"]',
    '=',
    ':',
    '80/tcp',
    'http://x',
    'a=b',
    '\\',
  )
  const keyword = fc.constantFrom(
    'FROM',
    'RUN',
    'COPY',
    'ADD',
    'ENV',
    'ARG',
    'LABEL',
    'EXPOSE',
    'VOLUME',
    'USER',
    'WORKDIR',
    'CMD',
    'ENTRYPOINT',
    'SHELL',
    'ONBUILD',
    'STOPSIGNAL',
    'HEALTHCHECK',
    'MAINTAINER',
  )
  const line = fc.tuple(keyword, fc.array(word, { maxLength: 4 })).map(([key, words]) => `${key} ${words.join(' ')}`)
  const file = fc
    .array(line, { maxLength: 8 })
    .map((lines) => ['FROM registry.example/base:1 AS a', ...lines, ''].join('\n'))
  await fc.assert(
    fc.asyncProperty(file, async (text) => void (await messageOf(lowerText(text)))),
    { numRuns: 300 },
  )
})

describe('growth', () => {
  const doubled = (keyword: string, times: number): string => `${keyword} A=$A$A\n`.repeat(times)
  // BuildKit: trying to send message larger than max (… vs. 16777216).
  test.each([
    ['ENV', `FROM scratch\nENV A=0123456789abcdef\n${doubled('ENV', 40)}`],
    ['ARG', `FROM scratch\nARG A=0123456789abcdef\n${doubled('ARG', 40)}`],
    ['ARG above FROM', `ARG A=0123456789abcdef\n${doubled('ARG', 40)}FROM scratch`],
    ['LABEL', `FROM scratch\nENV A=${'x'.repeat(60_000)}\n${doubled('ENV', 5)}${'LABEL a=$A\n'.repeat(100)}`],
    ['heredocs', `FROM scratch\nENV A=${'x'.repeat(60_000)}\n${doubled('ENV', 6)}${'COPY <<E /\n$A\nE\n'.repeat(100)}`],
    [
      'steps',
      `FROM registry.example/base:1\nENV A=${'x'.repeat(60_000)}\n${doubled('ENV', 6)}${'RUN x\n'.repeat(100)}`,
    ],
    ['replacements', `FROM scratch\nENV A=${'x'.repeat(60_000)}\n${'ENV A=${A//x/xxxxxxxxxxxxxxxx}\n'.repeat(5)}`],
  ])('variables that make %s grow without end are an error with its place', async (_, text) => {
    const startMs = processorMs()
    expect(await messageOf(lowerText(text))).toMatch(/larger than \d+ characters @\d+$/)
    expect(processorMs() - startMs).toBeLessThan(5000)
  })

  test('a config that is as large as BuildKit takes it is built', async () => {
    const { config } = await lowerText(`FROM scratch\nENV A=0123456789abcdef\n${doubled('ENV', 17)}`)
    expect(config.config?.Env?.[1]).toHaveLength(2 + 16 * 2 ** 17)
  })
})

test('a name that Linux does not take is an error with its place', async () => {
  const long = 'n'.repeat(300)
  for (const line of [
    `COPY a /${long}`,
    `COPY a /${long}/`,
    `WORKDIR /${long}`,
    `WORKDIR ${'d/'.repeat(2400)}`,
    `COPY <<${long} /x/\n${long}`,
    `COPY a /${'é'.repeat(128)}`,
  ])
    expect(await messageOf(lowerText(`FROM scratch\n${line}\n`))).toMatch(/^lstat .*: file name too long @2$/)
  expect(await messageOf(lowerText(`FROM scratch\nCOPY a /${'é'.repeat(127)}/${'n'.repeat(255)}\n`))).toBe('')
})
