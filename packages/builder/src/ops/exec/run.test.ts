import { expect, test } from '@jest/globals'
import { singleIdHint } from './run.ts'

test.each([
  ['E: setgroups 65534 failed - setgroups (1: Operation not permitted)', 'cannot become another user'],
  ['E: seteuid 42 failed - seteuid (22: Invalid argument)', 'cannot become another user'],
  ["chown: changing ownership of 'a': Invalid argument", 'cannot give files to other users'],
])('what fails for want of a second user id, %s, is told from what', (tail, words) => {
  expect(singleIdHint(tail)).toContain(words)
  expect(singleIdHint(tail)).toContain('subordinate ids')
})

test('a failure of another kind gets no hint about user ids', () => {
  expect(singleIdHint('make: *** [all] Error 2')).toBeUndefined()
})
