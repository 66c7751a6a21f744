import { describe, expect, test } from '@jest/globals'
import { formatPlatform, formatPlatformFully, normalizePlatform, parsePlatform } from './platform.ts'

// Expected values: the table of containerd's platforms package (README and documentation of Parse and Normalize).
describe('a platform specifier', () => {
  test.each([
    ['linux/amd64', { os: 'linux', architecture: 'amd64' }],
    ['LINUX/x86_64', { os: 'linux', architecture: 'amd64' }],
    ['linux/aarch64', { os: 'linux', architecture: 'arm64' }],
    ['linux/arm64/v8', { os: 'linux', architecture: 'arm64', variant: 'v8' }],
    ['linux/arm', { os: 'linux', architecture: 'arm' }],
    ['linux/arm/v6', { os: 'linux', architecture: 'arm', variant: 'v6' }],
    ['linux/armhf', { os: 'linux', architecture: 'arm' }],
    ['arm64', { os: 'linux', architecture: 'arm64' }],
    ['macos/arm64', { os: 'darwin', architecture: 'arm64' }],
    [
      'windows(10.0.17763+win32k)/amd64',
      { os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763', 'os.features': ['win32k'] },
    ],
  ])('%s', (text, platform) => {
    expect(parsePlatform(text)).toEqual(platform)
  })

  test.each([
    ['foo', '"foo": unknown operating system or architecture: invalid argument'],
    ['linux/*', '"linux/*": wildcards not yet supported: invalid argument'],
    ['a/b/c/d', '"a/b/c/d": cannot parse platform specifier: invalid argument'],
  ])('%s is refused', (text, message) => {
    expect(() => parsePlatform(text)).toThrow(message)
  })
})

test('a platform has one normal spelling', () => {
  expect(normalizePlatform({ os: 'Linux', architecture: 'x86-64', variant: 'v1' })).toEqual({
    os: 'linux',
    architecture: 'amd64',
  })
  expect(normalizePlatform({ os: 'linux', architecture: 'arm64', variant: 'v8' })).toEqual({
    os: 'linux',
    architecture: 'arm64',
  })
  expect(normalizePlatform({ os: 'linux', architecture: 'arm' })).toEqual({
    os: 'linux',
    architecture: 'arm',
    variant: 'v7',
  })
})

test('a platform is written with its variant, and with version and features where they are asked for', () => {
  const platform = { os: 'windows', architecture: 'amd64', 'os.version': '10.0', 'os.features': ['win32k'] }
  expect(formatPlatform(platform)).toBe('windows/amd64')
  expect(formatPlatformFully(platform)).toBe('windows(10.0+win32k)/amd64')
  expect(formatPlatformFully({ os: 'linux', architecture: 'arm', variant: 'v7' })).toBe('linux/arm/v7')
})
