import { describe, expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import { parseChallenges } from './challenge.ts'

const plain = (header: string | string[] | undefined) =>
  parseChallenges(header).map(({ scheme, parameters }) => ({ scheme, ...parameters }))

describe('WWW-Authenticate', () => {
  test('a Bearer challenge tells realm, service and scope', () => {
    // Docker token authentication specification, "How to authenticate".
    const header =
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:samalba/my-app:pull,push"'
    expect(plain(header)).toEqual([
      {
        scheme: 'bearer',
        realm: 'https://auth.docker.io/token',
        service: 'registry.docker.io',
        scope: 'repository:samalba/my-app:pull,push',
      },
    ])
  })

  test('several challenges come in one header or in many', () => {
    // RFC 9110 section 11.6.1, the example.
    const header = 'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""'
    const expected = [
      { scheme: 'basic', realm: 'simple' },
      { scheme: 'newauth', realm: 'apps', type: '1', title: 'Login to "apps"' },
    ]
    expect(plain(header)).toEqual(expected)
    expect(plain(['Basic realm="simple"', 'Newauth realm="apps", type=1, title="Login to \\"apps\\""'])).toEqual(
      expected,
    )
  })

  test('a scheme with a token, or with nothing, does not swallow the next one', () => {
    expect(plain('Negotiate YWJj==, Basic realm="x"')).toEqual([
      { scheme: 'negotiate' },
      { scheme: 'basic', realm: 'x' },
    ])
    expect(plain('Negotiate, Basic realm="x"')).toEqual([{ scheme: 'negotiate' }, { scheme: 'basic', realm: 'x' }])
  })

  test('a URL without quotes is read all the same', () => {
    expect(plain('Bearer realm=https://a.example/token,service=s')).toEqual([
      { scheme: 'bearer', realm: 'https://a.example/token', service: 's' },
    ])
  })

  test('a parameter given twice keeps its first value', () => {
    expect(plain('Bearer realm="https://a.example",realm="https://b.example"')).toEqual([
      { scheme: 'bearer', realm: 'https://a.example' },
    ])
  })

  test.each(['', '=', '"', 'Basic realm="open', ',,,', 'Bearer realm', '\u0000'])(
    'malformed %j ends without harm',
    (header) => {
      expect(() => plain(header)).not.toThrow()
      expect(plain(header).every((one) => !('realm' in one))).toBe(true)
    },
  )

  test('a very long header is cut, not searched for ever', () => {
    const start = processorMs()
    plain(`Basic ${'a='.repeat(1_000_000)}`)
    plain(`Basic ${'='.repeat(1_000_000)}`)
    expect(processorMs() - start).toBeLessThan(500)
  })
})
