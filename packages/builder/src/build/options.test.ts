import { expect, test } from '@jest/globals'
import { checkOptions } from './options.ts'

test.each([
  ['nofile=1024', { name: 'nofile', soft: 1024, hard: 1024 }],
  ['nproc=-1:-1', { name: 'nproc', soft: -1, hard: -1 }],
  ['core=0:9223372036854775807', { name: 'core', soft: 0, hard: 2 ** 63 }],
])('a limit %s is read', (text, limit) => {
  expect(checkOptions({ context: '.', ulimits: [text] }).ulimits).toEqual([limit])
})

test.each(['nofile=9223372036854775808', 'nproc=1:99999999999999999999999', 'nproc=-9223372036854775809'])(
  'a limit %s, which 64 bits do not hold, is refused by name',
  (text) => {
    expect(() => checkOptions({ context: '.', ulimits: [text] })).toThrow(`invalid ulimit argument: ${text}: `)
  },
)
