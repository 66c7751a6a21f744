import { expect, test } from '@jest/globals'
import * as namespace from '../isolation/namespace/namespace.ts'
import { readExit } from './exit.ts'
import type { StepSpec } from './types.ts'

test.each([
  ['mount overlay: /store/upper: overlay: filesystem on 4 not supported as upperdir', 22, '-e TSBUILD_HOME=/store'],
  ['open /dev/null', 13, 'nodev'],
])('a store on a disk that cannot carry a step is told where to lie instead: %s', (operation, errno, hint) => {
  const head = Buffer.alloc(9)
  head[4] = 'S'.charCodeAt(0)
  head.writeUInt32LE(errno, 5)
  const step = { name: 'RUN true' } as StepSpec
  expect(() => readExit(Buffer.concat([head, Buffer.from(operation)]), step, namespace)).toThrow(
    expect.objectContaining({ hint: expect.stringContaining(hint) }),
  )
})
