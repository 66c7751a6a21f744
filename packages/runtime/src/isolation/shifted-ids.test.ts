import { expect, test } from '@jest/globals'
import { shiftedRange } from './shifted-ids.ts'

test('on a host and in a container that has all its ids a step gets 65536 from 100000 on', () => {
  expect(shiftedRange('         0          0 4294967295\n')).toEqual({ start: 100_000, count: 65_536, rest: 100_000 })
})

test('in a container with 65536 ids a step gets all but root', () => {
  expect(shiftedRange('         0     100000      65536\n')).toEqual({ start: 1, count: 65_535, rest: 1 })
})

test("with some more it gets the last 65536, which the container's own users are farthest from", () => {
  expect(shiftedRange('0 100000 70000\n')).toEqual({ start: 4464, count: 65_536, rest: 4464 })
  expect(shiftedRange('0 100000 131072\n')).toEqual({ start: 65_536, count: 65_536, rest: 65_536 })
})

test('a range lies in one line of the map above, as the kernel asks', () => {
  // podman without root: the user, then the subordinate ids.
  expect(shiftedRange('0 1000 1\n1 100000 65536\n')).toEqual({ start: 1, count: 65_536, rest: 1 })
  expect(shiftedRange('0 0 1000\n1000 5000 30000\n40000 90000 20000\n')).toEqual({
    start: 1000,
    count: 30_000,
    rest: 1000,
  })
})

test('with one id there is none for a step', () => {
  expect(shiftedRange('0 1000 1\n')).toBeUndefined()
  expect(shiftedRange('5 1000 10\n')).toBeUndefined()
})
