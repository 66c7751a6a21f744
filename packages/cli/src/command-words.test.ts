import { describe, expect, test } from '@jest/globals'
import { withCommand } from './command-words.ts'
import { specs } from './flags.ts'
import { foreignCommands } from './foreign/commands.ts'
import type { UsageError } from './usage-error.ts'

const none = (): boolean => false

test('flags alone are a build', () => {
  expect(withCommand(['-t', 'x', '.'], none)).toEqual(['build', '-t', 'x', '.'])
})

test('a path alone is a build', () => {
  expect(withCommand(['./app'], none)).toEqual(['build', './app'])
  expect(withCommand(['app'], (path) => path === 'app')).toEqual(['build', 'app'])
})

test('commands stay as they are', () => {
  for (const word of ['build', 'images', 'images', '--help', '--version'])
    expect(withCommand([word], none)).toEqual([word])
})

test('help is a flag of the command that it is about', () => {
  expect(withCommand([], none)).toEqual(['--help'])
  expect(withCommand(['help', 'push'], none)).toEqual(['push', '--help'])
  expect(withCommand(['debug'], none)).toEqual(['debug', '--help'])
})

test('flags before a command are told where they belong', () => {
  expect(() => withCommand(['--store', 'x', 'pull', 'name'], none)).toThrow('flags go behind the command')
  expect(() => withCommand(['--store', 'x', 'images'], none)).toThrow('--store x stands before images')
  const context = ['-t', 'push', 'build']
  expect(withCommand(context, (path) => path === 'build')).toEqual(['build', ...context])
  expect(withCommand(['-t', 'pull', '.'], none)).toEqual(['build', '-t', 'pull', '.'])
  // kaniko's: `debug` is the value, and also the name of a command here.
  expect(withCommand(['--verbosity', 'debug', '-c', '.'], none)).toEqual(['build', '--verbosity', 'debug', '-c', '.'])
  expect(withCommand(['-v', 'debug', '-c', '.'], none)).toEqual(['build', '-v', 'debug', '-c', '.'])
})

test('a word that is neither a command nor a directory is told so', () => {
  expect(() => withCommand(['nowhere'], none)).toThrow('neither a command nor a directory')
})

test('a mistyped command is no build', () => {
  expect(() => withCommand(['imgaes'], none)).toThrow('unknown command: imgaes')
  expect(() => withCommand(['debug', 'prase'], none)).toThrow('unknown command: debug prase')
})

describe('commands of Docker, Podman and buildah', () => {
  const words = (...argv: string[]): readonly string[] => withCommand(argv, none, foreignCommands)
  const errorOf = (...argv: string[]): UsageError => {
    try {
      words(...argv)
    } catch (error) {
      return error as UsageError
    }
    throw new Error('nothing was thrown')
  }

  test('what is nearly one of theirs is told what to use for that', () => {
    expect(errorOf('lst').hint).toBe('for ls: did you mean tsbuild images?')
    expect(errorOf('logn').hint).toBe('did you mean tsbuild login?')
    expect(errorOf('psx').hint).toContain('for ps: tsbuild keeps no containers')
    expect(errorOf('imgaes').hint).toBe('did you mean tsbuild images?')
    expect(errorOf('nowhere').hint).toBe('tsbuild --help lists the commands')
  })

  test('what goes by another name here is that', () => {
    expect(words('image', 'ls', '-q')).toEqual(['images', '-q'])
    expect(words('image', 'rm', 'x')).toEqual(['rmi', 'x'])
    expect(words('image', 'prune', '-f')).toEqual(['image', 'prune', '-f'])
    expect(words('image', 'search', 'x')).toEqual(['search', 'x'])
    expect(words('system', 'info')).toEqual(['info'])
    expect(words('buildx', 'build', '-t', 'x', '.')).toEqual(['build', '-t', 'x', '.'])
    expect(words('builder', 'prune', '-af')).toEqual(['prune', '-af'])
    expect(words('buildx', 'prune', '-af')).toEqual(['prune', '-af'])
    expect(words('buildx', 'du', '--verbose')).toEqual(['du', '--verbose'])
    expect(words('buildx', 'imagetools', 'inspect', 'x')).toEqual(['imagetools', 'inspect', 'x'])
    expect(words('buildx', 'ls')).toEqual(['buildx', 'ls'])
    expect(words('builder', 'ls')).toEqual(['buildx', 'ls'])
    expect(words('bud', '.')).toEqual(['build', '.'])
    expect(words('version')).toEqual(['--version'])
  })

  test('what is not there says what to use, with exit status 1', () => {
    expect(errorOf('run', '-it', 'busybox')).toMatchObject({
      message: expect.stringMatching(/^unknown command: run: /),
      hint: expect.stringContaining('type=docker'),
      exitCode: 1,
    })
    expect(errorOf('container', 'ls').hint).toContain('no containers')
    expect(errorOf('buildx', 'create', '--use').hint).toContain('no builder instances')
    expect(errorOf('image', 'prunx').hint).toBe('did you mean tsbuild image prune?')
    expect(errorOf('system', 'events').hint).toContain('tsbuild system --help')
    expect(errorOf('constructor').hint).toBe('tsbuild --help lists the commands')
  })

  test('a directory of that name is a build', () => {
    expect(withCommand(['run'], (path) => path === 'run', foreignCommands)).toEqual(['build', 'run'])
  })

  test('every command of docker --help is ours or has a row', () => {
    const docker =
      'run exec ps build bake pull push images login logout search version info builder buildx compose container context image manifest network plugin system trust volume swarm attach commit cp create diff events export history import inspect kill load logs pause port rename restart rm rmi save start stats stop tag top unpause update wait'
    const known = new Set([...specs.map(({ name }) => name.split(' ')[0]), ...foreignCommands.map(({ name }) => name)])
    expect(docker.split(' ').filter((name) => !known.has(name))).toEqual([])
  })

  test('a row is found: nothing shorter stands before it, and it leads to a command of ours', () => {
    const names = foreignCommands.map(({ name }) => name)
    const hidden = names.filter((name, index) => names.slice(0, index).some((one) => `${name} `.startsWith(`${one} `)))
    expect(hidden).toEqual([])
    const own = new Set<string>([...specs.map(({ name }) => name), '--version'])
    expect(foreignCommands.filter(({ as, use }) => (as === undefined ? !use : !own.has(as.join(' '))))).toEqual([])
  })
})

describe('-v and --version', () => {
  test('alone they are the version', () => {
    expect(withCommand(['-v'], none)).toEqual(['--version'])
    expect(withCommand(['--version'], none)).toEqual(['--version'])
  })

  test('beside other words they are flags of a build', () => {
    expect(withCommand(['-v', '/a:/b', '-t', 'x', '.'], none)).toEqual(['build', '-v', '/a:/b', '-t', 'x', '.'])
  })
})

test('a password that stands before the command is not repeated', () => {
  expect(() => withCommand(['--creds=me:hunter2', 'pull', 'a'])).toThrow(
    /^flags go behind the command: --creds=… stands/,
  )
})
