import { expect, test } from '@jest/globals'
import { fingerprint } from './fingerprint.ts'

test('a document in which one byte changed, was added or is gone has another fingerprint', () => {
  const text = JSON.stringify({ schemaVersion: 2, manifests: [{ digest: 'sha256:00', size: 1 }, { size: 1 }] })
  const changed = Array.from(text, (_, at) =>
    ['a', 'b', '\xff', ''].map((byte) => `${text.slice(0, at)}${byte}${text.slice(at + 1)}`),
  ).flat()
  const others = new Set([...changed, `${text}\0`, `\0${text}`, ''])
  others.delete(text)
  const found = new Set([...others].map(fingerprint))
  expect(found.size).toBe(others.size)
  expect(found).not.toContain(fingerprint(text))
  expect(fingerprint(text)).toMatch(/^[0-9a-f]{16}$/)
})

test('fifty thousand documents that differ in a number have as many', () => {
  const found = new Set<string>()
  for (let number = 0; number < 50_000; number++) found.add(fingerprint(`{"size":${number}}`))
  expect(found.size).toBe(50_000)
})
