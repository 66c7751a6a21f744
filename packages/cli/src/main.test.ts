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
  for (const word of ['build', 'images', 'debug', 'help', '--help', '--version'])
    expect(withCommand([word], none)).toEqual([word])
})

test('a mistyped command is no build', () => {
  expect(() => withCommand(['imgaes'], none)).toThrow('unknown command: imgaes')
})
