import { describe, expect, test } from '@jest/globals'
import { asksServerOfContainer, onlyReachable } from './resolv-conf.ts'

describe('the resolv.conf of a network of its own', () => {
  test('keeps search, options, comments and the servers that are reached by IPv4', () => {
    const text = '# mine\nsearch example.com\nnameserver 192.0.2.53\noptions ndots:2\n'
    expect(onlyReachable(text)).toBe(text)
  })

  const cases = [
    ['a server on loopback among others', 'nameserver 127.0.0.1\nnameserver 192.0.2.53\n', 'nameserver 192.0.2.53\n'],
    ['any address of loopback', 'nameserver 127.1.2.3\n', 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n'],
    ['a server of IPv6 among others', 'nameserver 2001:db8::53\nnameserver 192.0.2.53\n', 'nameserver 192.0.2.53\n'],
    ['::1 alone', 'nameserver ::1\n', 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n'],
    ['one with an interface', 'nameserver fe80::1%eth0\n', 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n'],
    ['nothing', '', 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n'],
    ['a search alone, without an end', 'search a', 'search a\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n'],
    [
      'a server in a comment',
      '# nameserver 192.0.2.53\n',
      '# nameserver 192.0.2.53\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n',
    ],
    ['tabs and blanks', '\tnameserver\t127.0.0.1 \n nameserver  192.0.2.53 \n', ' nameserver  192.0.2.53 \n'],
  ] as const
  for (const [name, text, expected] of cases)
    test(`of ${name}`, () => {
      expect(onlyReachable(text)).toBe(expected)
    })

  test("a container's own server counts where it is the only one", () => {
    expect(asksServerOfContainer('nameserver 127.0.0.11\noptions ndots:0\n')).toBe(true)
    expect(asksServerOfContainer('nameserver 127.0.0.11\nnameserver 192.0.2.53\n')).toBe(false)
    expect(asksServerOfContainer('')).toBe(false)
  })
})
