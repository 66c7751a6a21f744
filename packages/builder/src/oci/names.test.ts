import { describe, expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import { isSamePlatform, matchesPlatform } from './platform-match.ts'
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from './platform.ts'
import {
  canonicalName,
  familiarRepository,
  formatFamiliar,
  formatReference,
  parseReference,
  parseTaggedReference,
} from './reference.ts'

const HEX = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

describe('references', () => {
  // [written, canonical with default tag, familiar]: distribution's documented normalization.
  const good: readonly (readonly [string, string, string])[] = [
    ['alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20', 'alpine:3.20'],
    ['user/app', 'docker.io/user/app:latest', 'user/app:latest'],
    ['docker.io/alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['index.docker.io/user/app:1', 'docker.io/user/app:1', 'user/app:1'],
    ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
    ['localhost:5000/a/b/c:v1', 'localhost:5000/a/b/c:v1', 'localhost:5000/a/b/c:v1'],
    ['ghcr.io/a/b', 'ghcr.io/a/b:latest', 'ghcr.io/a/b:latest'],
    ['[2001:db8::1]:5000/app', '[2001:db8::1]:5000/app:latest', '[2001:db8::1]:5000/app:latest'],
    ['UPPERCASE/app', 'UPPERCASE/app:latest', 'UPPERCASE/app:latest'],
    ['a__b/c-_d'.replace('-_', '--'), 'docker.io/a__b/c--d:latest', 'a__b/c--d:latest'],
    [`alpine@sha256:${HEX}`, `docker.io/library/alpine@sha256:${HEX}`, `alpine@sha256:${HEX}`],
    [`alpine:1@sha256:${HEX}`, `docker.io/library/alpine:1@sha256:${HEX}`, `alpine:1@sha256:${HEX}`],
    ['docker.io/library/a/b', 'docker.io/library/a/b:latest', 'library/a/b:latest'],
  ]
  for (const [written, canonical, familiar] of good) {
    test(`${written} is ${canonical}`, () => {
      expect(canonicalName(written)).toBe(canonical)
      expect(formatFamiliar(parseTaggedReference(written))).toBe(familiar)
      expect(formatReference(parseReference(canonical))).toBe(canonical)
    })
  }

  const bad: readonly (readonly [string, RegExp])[] = [
    ['', /^invalid reference format$/],
    ['Alpine', /^invalid reference format: repository name \(library\/Alpine\) must be lowercase$/],
    ['localhost:5000/App', /repository name \(App\) must be lowercase/],
    ['a b', /^invalid reference format$/],
    ['https://docker.io/alpine', /^invalid reference format$/],
    ['alpine:', /^invalid reference format$/],
    [':latest', /^invalid reference format$/],
    ['alpine:-1', /^invalid reference format$/],
    [`alpine:${'x'.repeat(129)}`, /^invalid reference format$/],
    ['../etc/passwd', /^invalid reference format$/],
    ['a..b', /^invalid reference format$/],
    ['alpine\n', /^invalid reference format$/],
    [HEX, /cannot specify 64-byte hexadecimal strings/],
    [`a/${'x'.repeat(255)}`, /must not be more than 255 characters/],
    [`alpine@sha256:${HEX.slice(1)}`, /invalid checksum digest length/],
    [`alpine@md5:${HEX.slice(32)}`, /unsupported digest algorithm/],
  ]
  for (const [written, message] of bad) {
    test(`${JSON.stringify(written.slice(0, 40))} is refused`, () => {
      expect(() => parseReference(written)).toThrow(
        expect.objectContaining({ code: 'OCI_REFERENCE_INVALID', message: expect.stringMatching(message) }),
      )
    })
  }

  test('a hostile name is refused in linear time', () => {
    const start = processorMs()
    expect(() => parseReference(`${'a-'.repeat(50_000)}!`)).toThrow()
    expect(processorMs() - start).toBeLessThan(1000)
  })

  test('the familiar name of a repository', () => {
    expect(familiarRepository(parseReference('alpine:3'))).toBe('alpine')
  })
})

describe('platforms', () => {
  test.each([
    ['linux/x86_64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['Linux/ARM64', 'linux/arm64'],
    ['macos/arm64', 'darwin/arm64'],
    ['linux/i386', 'linux/386'],
    ['arm64', 'linux/arm64'],
  ])('%s is %s', (written, normal) => {
    expect(formatPlatform(normalizePlatform(parsePlatform(written)))).toBe(normal)
  })

  test('an operating system alone has the architecture of the host', () => {
    expect(parsePlatform('linux').architecture).toBe(hostPlatform().architecture)
  })

  test.each(['linux/*', 'nonsense', 'a/b/c/d', 'linux//v1', ''])('%j is refused', (written) => {
    expect(() => parsePlatform(written)).toThrow(expect.objectContaining({ code: 'OCI_PLATFORM_INVALID' }))
  })

  const of = (text: string): ReturnType<typeof parsePlatform> => parsePlatform(text)

  test('older variants run on newer ones, not the reverse', () => {
    expect(matchesPlatform(of('linux/arm/v6'), of('linux/arm/v7'))).toBe(true)
    expect(matchesPlatform(of('linux/arm/v7'), of('linux/arm/v6'))).toBe(false)
    expect(matchesPlatform(of('linux/arm/v7'), of('linux/arm64'))).toBe(true)
    expect(matchesPlatform(of('linux/amd64'), of('linux/amd64/v3'))).toBe(true)
    expect(matchesPlatform(of('linux/amd64/v3'), of('linux/amd64'))).toBe(false)
    expect(matchesPlatform(of('linux/amd64/v2'), of('linux/amd64/v3'))).toBe(true)
    expect(matchesPlatform(of('linux/386'), of('linux/amd64'))).toBe(true)
    expect(matchesPlatform(of('linux/arm64/v8.4'), of('linux/arm64/v9'))).toBe(true)
    expect(matchesPlatform(of('windows/amd64'), of('linux/amd64'))).toBe(false)
    expect(isSamePlatform(of('linux/arm64/v8'), of('linux/arm64'))).toBe(true)
  })
})
