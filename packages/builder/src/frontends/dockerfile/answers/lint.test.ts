import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { CHECK_RULES } from '../checks/list.ts'
import { lintDockerfile } from './lint.ts'
import { createTestEnvironment, createTestOptions } from '../lower/environment.test.helper.ts'
import type { LowerEnvironment, LowerOptions } from '../../types.ts'

type Told = readonly [rule: string, line: number, message: string]

// What `docker buildx build --check` (BuildKit of Docker 28.5) tells of these files.
const CASES = JSON.parse(readFileSync(new URL('../checks/buildkit-cases.json', import.meta.url), 'utf8')) as readonly {
  readonly name: string
  readonly dockerfile: string
  readonly warnings: readonly Told[]
}[]

async function told(
  text: string,
  options: Partial<LowerOptions> = {},
  environment: Partial<LowerEnvironment> = {},
): Promise<Told[]> {
  const { findings } = await lintDockerfile(text, createTestOptions(options), createTestEnvironment({}, environment))
  return findings.map(({ rule, location, message }) => [rule.name, location.start.line, message])
}

function sorted(findings: readonly Told[]): string[] {
  return findings.map((finding) => JSON.stringify(finding)).toSorted()
}

describe('findings are those of BuildKit', () => {
  test.each(CASES)('$name', async ({ dockerfile, warnings }) => {
    expect(sorted(await told(dockerfile))).toEqual(sorted(warnings))
  })
})

describe('CopyIgnoredFile', () => {
  const text = 'FROM scratch\nCOPY a/b c /\nADD d /\nCOPY --from=registry.example/base:1 a /\nCOPY . /\n'

  test('tells sources that the ignore file excludes', async () => {
    expect(await told(text, {}, { ignorePatterns: ['a', 'd*'] })).toEqual([
      ['CopyIgnoredFile', 2, 'Attempting to Copy file "a/b" that is excluded by .dockerignore'],
      ['CopyIgnoredFile', 3, 'Attempting to Add file "d" that is excluded by .dockerignore'],
    ])
  })

  test('says nothing when a pattern takes something back', async () => {
    expect(await told(text, {}, { ignorePatterns: ['a', '!a/b'] })).toEqual([])
  })

  test('tells the whole context only when everything is excluded', async () => {
    expect(await told('FROM scratch\nCOPY . /\n', {}, { ignorePatterns: ['*'] })).toEqual([
      ['CopyIgnoredFile', 2, 'Attempting to Copy file "." that is excluded by .dockerignore'],
    ])
  })
})

test('SecretsUsedInArgOrEnv lets names of files, versions and public things pass', async () => {
  expect(await told('FROM scratch\nENV KEY_FILE=a TOKEN_VERSION=b PUBLIC_KEY=c KEY=d\n')).toEqual([
    ['SecretsUsedInArgOrEnv', 2, 'Do not use ARG or ENV instructions for sensitive data (ENV "KEY")'],
  ])
})

test('there are 22 rules, each with its name and a description', () => {
  expect(new Set(CHECK_RULES.map((rule) => rule.name)).size).toBe(22)
  expect(CHECK_RULES.every((rule) => rule.description !== '')).toBe(true)
})

describe('which checks speak', () => {
  test('a comment above an instruction skips for it alone', async () => {
    const text = 'FROM scratch\n# check=skip=MaintainerDeprecated\nMAINTAINER a\nMAINTAINER b\n'
    expect((await told(text)).map(([, line]) => line)).toEqual([4])
  })

  test('the build argument wins over the directive', async () => {
    const text = '# check=skip=all\nFROM scratch\nMAINTAINER a\n'
    expect(await told(text)).toEqual([])
    expect((await told(text, { checks: '' })).map(([rule]) => rule)).toEqual(['MaintainerDeprecated'])
  })

  test.each([
    ['foo=bar', 'invalid check option "foo"'],
    ['foo', 'invalid check option "foo"'],
    ['error=maybe', 'failed to parse check option "error=maybe": strconv.ParseBool: parsing "maybe": invalid syntax'],
  ])('%s is refused', async (value, message) => {
    await expect(told(`# check=${value}\nFROM scratch\n`)).rejects.toMatchObject({
      message: `failed to parse check options: ${message}`,
    })
  })
})

describe('errors', () => {
  const errorsOf = async (text: string): Promise<(readonly [number | undefined, string])[]> => {
    const { errors } = await lintDockerfile(text, createTestOptions(), createTestEnvironment())
    return errors.map((error) => [error.location?.startLine, error.message])
  }

  test('all that can be known without running are told together', async () => {
    const text = 'FROM scratch AS a\nEXPOSE x\nSTOPSIGNAL y\nENV z=${a:?no}\nFROM scratch\nCOPY --chmod=q a b\n'
    expect(await errorsOf(text)).toEqual([
      [2, 'invalid containerPort: x'],
      [3, 'invalid signal: y'],
      [4, 'failed to process "${a:?no}": a: no'],
      [6, 'invalid syntax'],
    ])
  })

  test('of parsing come first, and alone', async () => {
    expect(await errorsOf('FROM scratch\nCOPPY a b\nEXPOSE x\nRUN --foo x\n')).toEqual([
      [2, 'dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)'],
      [4, 'dockerfile parse error on line 4: unknown flag: --foo'],
    ])
  })

  test('a finding is one when the file says so', async () => {
    expect(await errorsOf('# check=error=true\nFROM scratch\nMAINTAINER a\n')).toEqual([
      [undefined, 'lint violation found for rules: MaintainerDeprecated'],
    ])
  })

  test('every stage is looked at when no target is given', async () => {
    expect(await errorsOf('FROM scratch AS unused\nEXPOSE x\nFROM scratch\n')).toEqual([
      [2, 'invalid containerPort: x'],
    ])
  })
})
