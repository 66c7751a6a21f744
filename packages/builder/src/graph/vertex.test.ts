import { expect, test } from '@jest/globals'
import { createVertex } from './vertex.ts'

test('a source is named without the password of its address, a step as it was written', () => {
  const named = (name: string, op: Parameters<typeof createVertex>[0]): string =>
    createVertex(op, [], { metadata: { name } }).metadata.name
  const source = { kind: 'source', identifier: 'https://u:p@host/f', attrs: {} } as const
  expect(named('[1/2] ADD https://u:hunter2@host/f /', source)).toBe('[1/2] ADD https://***@host/f /')
  expect(named('[context b] https://hunter2@host/r.git', source)).toBe('[context b] https://***@host/r.git')
  expect(named('[1/2] ADD https://u:hunter2@host/f /', { kind: 'file', actions: [] })).not.toContain('hunter2')
  expect(named('FROM localhost:5000/a@sha256:0', source)).toBe('FROM localhost:5000/a@sha256:0')
})
