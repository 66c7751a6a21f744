import { describe, expect, test } from '@jest/globals'
import { build, specs } from '../flags.ts'
import { readFileSync } from 'node:fs'
import type { Input } from '../flag-types.ts'
import type { UsageError } from '../usage-error.ts'
import { foreignCommands } from './commands.ts'
import { foreignFlags, foreignValues } from './flags.ts'
import { readForeign } from './read.ts'

const parse = (...argv: string[]): Input<typeof build> => readForeign(build, argv)
const commands = Object.entries(foreignFlags)
const allFlags = commands.flatMap(([, flags]) => flags)

function failureOf(...argv: string[]): UsageError {
  try {
    parse(...argv)
  } catch (error) {
    return error as UsageError
  }
  throw new Error('nothing was thrown')
}

/** By program and command, from what `--help` of the real ones says, and of kaniko from its source. */
const known = JSON.parse(
  readFileSync(new URL('../../../../fixtures/foreign-flags.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
const lists = Object.entries(known).flatMap(([program, of]) =>
  Object.entries(of).map(([command, flags]) => [program, command, flags] as const),
)

describe('flags of other builders', () => {
  test.each(lists)('of %s %s: every one is a flag of ours or has a row', (_, command, flags) => {
    const own = specs.find(({ name }) => name === command)!.flags
    const names = new Set([...own, ...(foreignFlags[command] ?? [])].map(({ name }) => name))
    expect(flags.map((flag) => flag.replace(/^.*--/, '')).filter((name) => !names.has(name))).toEqual([])
  })

  test.each(lists)('of %s %s: every letter is known', (_, command, flags) => {
    const own = specs.find(({ name }) => name === command)!.flags
    const letters = new Set([...own, ...(foreignFlags[command] ?? [])].map(({ char }) => char))
    expect(flags.filter((flag) => /^-\w /.test(flag) && !letters.has(flag.charAt(1)))).toEqual([])
  })

  test.each(commands)('a row of %s is about a flag that it has not, and says what to use', (command, flags) => {
    const own = specs.find(({ name }) => name === command)!.flags
    expect(flags.filter(({ name }) => own.some((flag) => flag.name === name))).toEqual([])
    const named = new Set(foreignValues[command]?.flatMap(({ typed }) => typed))
    const taken = flags.filter(({ char }) => own.some((flag) => flag.char !== undefined && flag.char === char))
    expect(taken.filter(({ char }) => !named.has(`-${char}`))).toEqual([])
    const names = flags.map(({ name }) => name)
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
    const unanswered = flags.filter(({ use, as, attribute, when, done, isBoolean, note }) => {
      const isWhole =
        ((as ?? attribute) !== undefined && when === undefined) || done === 'any' || (isBoolean && done?.length === 2)
      return isWhole !== true && note === undefined && (use ?? '') === ''
    })
    expect(unanswered).toEqual([])
  })

  test('words of ours in the rows are flags that the table has', () => {
    const own = new Set<string>(specs.flatMap(({ flags }) => flags.map(({ name }) => `--${name}`)))
    const texts = [...allFlags, ...foreignCommands].flatMap(({ as = [], use = '' }) => [...as, use])
    const words = texts
      .flatMap((text) => text.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? [])
      // Of RUN, COPY and systemd-run; and of kaniko, named beside ours.
      .filter(
        (word) =>
          !['--mount', '--from', '--device', '--security', '--scope', '--destination', '--version'].includes(word),
      )
    expect(words.filter((word) => !own.has(word))).toEqual([])
  })

  test('a value that is not taken is not said to be a flag that is unknown', () => {
    expect(failureOf('-v', '/cache:/root/.npm', '.')).toMatchObject({
      message: expect.stringMatching(
        /^-v=\/cache:\/root\/\.npm: -v is a flag of buildah and podman, and tsbuild does not take/,
      ),
      hint: expect.stringContaining('DIR:PATH:ro is read'),
    })
  })

  test('a line of kaniko is read as ours', () => {
    const line =
      '--context /workspace --dockerfile=Dockerfile.ci -d r/a:1 --destination=r/a:2 --cache --snapshot-mode=redo ' +
      '--use-new-run --push-retry 3 --cleanup --verbosity=debug --custom-platform=linux/arm64 ' +
      '--skip-tls-verify-registry=r --tar-path /out/a.tar'
    const { args, flags } = parse(...line.split(' '))
    expect(args).toEqual(['/workspace'])
    expect(flags).toMatchObject({
      file: 'Dockerfile.ci',
      tag: ['r/a:1', 'r/a:2'],
      push: true,
      retry: '3',
      platform: ['linux/arm64'],
      'no-cache': false,
      'insecure-registry': ['r'],
      output: ['type=docker,dest=/out/a.tar'],
    })
    expect(parse('--cache=false', '.').flags['no-cache']).toBe(true)
  })

  test('a directory of kaniko, and words of older programs, are read as ours', () => {
    expect(parse('--context=dir:///workspace').args).toEqual(['/workspace'])
    const { flags } = parse('--print=outline', '--pull-never', '.')
    expect([flags.call, flags.pull]).toEqual(['outline', 'never'])
    expect(parse('--layers=false', '.').flags.squash).toBe(true)
    expect(failureOf('--context=s3://bucket/x').message).not.toContain('does not have')
  })

  test('a line of buildah is read as ours', () => {
    const { args, flags } = parse('--layers', '--format=oci', '--tls-verify', '--arch', 'arm64', '-qt', 'x', '.')
    expect([args, flags.tag, flags.platform, flags.quiet]).toEqual([['.'], ['x'], ['linux/arm64'], true])
  })

  test.each([
    [['-v', '/a:/b', '.'], '-v is a flag of buildah and podman', 'DIR:PATH:O'],
    [['-qv/a:/b', '.'], '-v is a flag of buildah and podman', 'RUN --mount=type=cache'],
    [['--volume=/a:/b', '.'], '--volume is a flag of buildah and podman', 'RUN --mount=type=cache'],
    [['--creds', 'me:hunter2', '.'], '--creds is a flag of buildah and podman', 'tsbuild login'],
    [['--context=s3://bucket/x'], '--context is a flag of kaniko', 'signed https:// URL'],
    [['--cache-dir', '/cache', '.'], '--cache-dir is a flag of kaniko', '$TSBUILD_HOME'],
    [['--root', '/x', '.'], '--root is a flag of buildah and podman', '--store DIR'],
  ])('%j is told what to use', (argv, message, hint) => {
    const error = failureOf(...argv)
    expect(error.message).toContain(message)
    expect(error.hint).toContain(hint)
    expect(error.exitCode).toBe(125)
    expect(`${error.message} ${error.hint}`).not.toContain('hunter2')
  })

  test('what nobody knows stays unknown', () => {
    expect(failureOf('--layerz', '.').message).toBe('unknown flag: --layerz')
    expect(failureOf('--layers=often', '.').message).toBe('invalid argument "often" for --layers')
    expect(failureOf('.', '--creds').message).toBe('flag needs an argument: --creds VALUE')
  })
})
