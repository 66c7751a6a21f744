import { expect, test } from '@jest/globals'
import type { Platform } from '../../oci/types.ts'
import { lowerState, type LoweredState } from './lower-state.ts'
import { scratch, type State } from './state.ts'

const platform: Platform = { os: 'linux', architecture: 'amd64' }
const nothing: LoweredState = { edge: undefined, config: {}, history: [] }

async function lowered(state: State): Promise<LoweredState> {
  return lowerState(state, platform, async () => nothing)
}

test('the first change of a state is made on nothing, the next on it, below the working directory', async () => {
  const { edge, history } = await lowered(
    scratch().workdir('/w').file('a', 'x').directory('d', { mode: 0o700 }).remove('/a'),
  )
  const removal = edge!.vertex
  const directory = removal.inputs[0]!.vertex
  const file = directory.inputs[0]!.vertex
  expect(file.inputs).toEqual([])
  const plain = { secondaryInput: -1, output: 0 }
  expect([file.op, directory.op, removal.op]).toEqual([
    {
      kind: 'file',
      actions: [
        {
          ...plain,
          input: -1,
          action: { kind: 'mkfile', path: '/w/a', mode: 0o644, data: Buffer.from('x'), timestamp: -1 },
        },
      ],
    },
    {
      kind: 'file',
      actions: [
        { ...plain, input: 0, action: { kind: 'mkdir', path: '/w/d', mode: 0o700, makeParents: true, timestamp: -1 } },
      ],
    },
    {
      kind: 'file',
      actions: [{ ...plain, input: 0, action: { kind: 'rm', path: '/a', allowNotFound: true, allowWildcard: true } }],
    },
  ])
  expect(history.map((entry) => entry.created_by)).toEqual(['WORKDIR /w', 'FILE a', 'DIRECTORY d', 'REMOVE /a'])
})
