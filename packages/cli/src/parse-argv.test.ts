import { describe, expect, test } from '@jest/globals'
import { build, inspect } from './flags.ts'
import { defineSpec } from './flag-types.ts'
import { parseArgv } from './parse-argv.ts'
import type { UsageError } from './usage-error.ts'

function failureOf(action: () => unknown): UsageError {
  try {
    action()
  } catch (error) {
    return error as UsageError
  }
  throw new Error('nothing was thrown')
}

describe('the arguments of a command', () => {
  test('flags stand before and after the context', () => {
    const { args, flags } = parseArgv(build, ['-t', 'a', '.', '--target=final', '--tag', 'b'])
    expect(args).toEqual(['.'])
    expect(flags.tag).toEqual(['a', 'b'])
    expect(flags.target).toBe('final')
  })

  test('short flags join: booleans first, then one with a value', () => {
    const { args, flags } = parseArgv(build, ['-qtname', '.'])
    expect([flags.quiet, flags.tag, args]).toEqual([true, ['name'], ['.']])
    expect(parseArgv(build, ['-t=name', '.']).flags.tag).toEqual(['name'])
  })

  test('a dash is an argument and a value', () => {
    const { args, flags } = parseArgv(build, ['-o', '-', '-'])
    expect([flags.output, args]).toEqual([['-'], ['-']])
  })

  test('a value may look like a flag', () => {
    expect(parseArgv(build, ['--build-arg', '--x=1', '.']).flags['build-arg']).toEqual(['--x=1'])
  })

  test('after -- everything is an argument', () => {
    expect(parseArgv(inspect, ['--', '-f', '--store']).args).toEqual(['-f', '--store'])
  })

  test('the last value of a single flag counts', () => {
    expect(parseArgv(build, ['-f', 'a', '-f', 'b', '.']).flags.file).toBe('b')
  })

  test('booleans take the spellings of Docker', () => {
    expect(parseArgv(build, ['--push=false', '--no-cache=1', '.']).flags).toMatchObject({
      push: false,
      'no-cache': true,
    })
    expect(failureOf(() => parseArgv(build, ['--push=maybe', '.'])).message).toBe('invalid argument "maybe" for --push')
  })

  test('a boolean that is on by default is off when told so', () => {
    const spec = defineSpec({
      name: 'x',
      summary: '',
      args: [],
      flags: [{ name: 'human', kind: 'boolean', default: true, summary: '' }],
    })
    expect(parseArgv(spec, []).flags.human).toBe(true)
    expect(parseArgv(spec, ['--human=false']).flags.human).toBe(false)
  })
})

describe('what is wrong with a command line', () => {
  test('an unknown flag is named, and the one that was meant is proposed', () => {
    const error = failureOf(() => parseArgv(build, ['--traget', 'x', '.']))
    expect(error.message).toBe('unknown flag: --traget')
    expect(error.hint).toContain('did you mean --target?')
    expect(error.exitCode).toBe(125)
    expect(failureOf(() => parseArgv(build, ['-x', '.'])).message).toBe('unknown flag: -x')
  })

  test('an unknown flag of any length is told at once', () => {
    const before = process.cpuUsage()
    failureOf(() => parseArgv(build, [`--${'a'.repeat(100_000)}`, '.']))
    const { user } = process.cpuUsage(before)
    // Compared with each of ours it took 13 seconds.
    expect(user / 1e6).toBeLessThan(1)
  })

  test('a flag without its value is named', () => {
    expect(failureOf(() => parseArgv(build, ['.', '-t'])).message).toBe('flag needs an argument: -t NAME[:TAG]')
  })

  test('too few and too many arguments are counted, and those of a path that fell apart are shown', () => {
    expect(failureOf(() => parseArgv(build, [])).message).toBe('tsbuild build takes exactly 1 argument, got 0')
    const tooMany = failureOf(() => parseArgv(build, ['my', 'project']))
    expect(tooMany.message).toBe('tsbuild build takes exactly 1 argument, got 2: "my" "project"')
    expect(tooMany.exitCode).toBe(1)
    expect(failureOf(() => parseArgv(inspect, [])).message).toBe('tsbuild inspect takes at least 1 argument, got 0')
  })

  test('attestations are off or refused by name', () => {
    expect(parseArgv(build, ['--provenance=false', '--sbom=false', '.']).args).toEqual(['.'])
    // As buildx: the value may be a word of its own.
    expect(parseArgv(build, ['--provenance', 'false', '--sbom', 'false', '.']).args).toEqual(['.'])
    expect(failureOf(() => parseArgv(build, ['--provenance', 'mode=max', '.'])).message).toContain(
      '--provenance=mode=max: provenance attestations are not supported',
    )
    expect(failureOf(() => parseArgv(build, ['--sbom=true', '.'])).message).toContain(
      'SBOM attestations are not supported',
    )
  })

  test('--load may name an engine', () => {
    expect(parseArgv(build, ['--load', '.']).flags.load).toBe('true')
    expect(parseArgv(build, ['--load=podman', '.']).flags.load).toBe('podman')
  })

  test('a value out of a fixed list is refused with the list', () => {
    const error = failureOf(() => parseArgv(build, ['--progress=fancy', '.']))
    expect(error.message).toBe('invalid argument "fancy" for --progress')
    expect(error.hint).toContain('rawjson')
    expect(failureOf(() => parseArgv(build, ['--progress=plian', '.'])).hint).toMatch(
      /^did you mean plain\? one of auto/,
    )
  })
})
