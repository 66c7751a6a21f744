import { describe, expect, test } from '@jest/globals'
import { formatFamiliar, formatReference, parseReference, withDefaultTag } from './reference.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

// Expected values: the documentation and grammar of distribution/reference.
describe('an image name', () => {
  test.each([
    ['debian', 'docker.io/library/debian:latest'],
    ['debian:12', 'docker.io/library/debian:12'],
    ['user/app', 'docker.io/user/app:latest'],
    ['index.docker.io/debian', 'docker.io/library/debian:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['host:5000/a/b:t', 'host:5000/a/b:t'],
    ['Host/app', 'Host/app:latest'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    [`debian@${DIGEST}`, `docker.io/library/debian@${DIGEST}`],
    [`debian:12@${DIGEST}`, `docker.io/library/debian:12@${DIGEST}`],
  ])('%s is %s', (text, full) => {
    expect(formatReference(withDefaultTag(parseReference(text)))).toBe(full)
  })

  test.each([
    ['', 'invalid reference format'],
    ['Debian', 'invalid reference format: repository name (library/Debian) must be lowercase'],
    ['a//b', 'invalid reference format'],
    ['a:', 'invalid reference format'],
    ['https://host/a', 'invalid reference format'],
    ['a'.repeat(64), `invalid repository name (${'a'.repeat(64)}), cannot specify 64-byte hexadecimal strings`],
    [`a/${'b'.repeat(256)}`, 'repository name must not be more than 255 characters'],
    [`a@md5:${'a'.repeat(32)}`, 'unsupported digest algorithm'],
    [`a@sha256:${'a'.repeat(40)}`, 'invalid checksum digest length'],
  ])('%s is refused', (text, message) => {
    expect(() => parseReference(text)).toThrow(message)
  })

  test('is shown without what Docker fills in', () => {
    expect(formatFamiliar(parseReference('docker.io/library/debian:12'))).toBe('debian:12')
    expect(formatFamiliar(parseReference('docker.io/a/b'))).toBe('a/b')
    expect(formatFamiliar(parseReference('host.example/a'))).toBe('host.example/a')
  })
})
