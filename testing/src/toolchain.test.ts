import { expect, test } from '@jest/globals'

test('the tests run on Node 24', () => {
  expect(Number(process.versions.node.split('.')[0])).toBe(24)
})
