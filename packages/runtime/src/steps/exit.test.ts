import { expect, test } from '@jest/globals'
import * as namespace from '../isolation/namespace/namespace.ts'
import { readExit } from './exit.ts'
import type { StepSpec } from './types.ts'

test('a store on a disk that carries no overlay is told where to lie instead', () => {
  const operation = 'mount overlay: /store/upper: overlay: filesystem on 4 not supported as upperdir'
  const head = Buffer.alloc(9)
  head[4] = 'S'.charCodeAt(0)
  head.writeUInt32LE(22, 5)
  const step = { name: 'RUN true' } as StepSpec
  expect(() => readExit(Buffer.concat([head, Buffer.from(operation)]), step, namespace)).toThrow(
    expect.objectContaining({ code: 'OCI_RUNTIME_MOUNT', hint: expect.stringContaining('-e TSBUILD_HOME=/store') }),
  )
})
