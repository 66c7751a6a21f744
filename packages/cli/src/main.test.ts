import { expect, test } from '@jest/globals'
import { withCommand } from './main.ts'

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
})

test('a word that is neither a command nor a directory is told so', () => {
  expect(() => withCommand(['nowhere'], none)).toThrow('neither a command nor a directory')
})

test('a mistyped command is no build', () => {
  expect(() => withCommand(['imgaes'], none)).toThrow('unknown command: imgaes')
  expect(() => withCommand(['debug', 'prase'], none)).toThrow('unknown command: debug prase')
})

test('a command of Docker that goes by another name here is told which', () => {
  const hintOf = (word: string): unknown => {
    try {
      withCommand([word], none)
    } catch (error) {
      return (error as { hint?: unknown }).hint
    }
    return undefined
  }
  expect(hintOf('builder')).toContain('tsbuild prune')
  expect(hintOf('login')).toContain('docker login')
  expect(hintOf('version')).toContain('tsbuild --version')
  expect(hintOf('constructor')).toBe('tsbuild --help lists the commands')
})
