import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { describeWith, temporaryDirectory } from '@ts-oci/testing'
import type { TemporaryDirectory } from '@ts-oci/testing'
import { requirementsOf } from '../testing/machine.test.helper.ts'
import { connect } from './connection.ts'
import type { Connection } from './connection.ts'
import { spawnLauncher } from './launcher.ts'
import { frameTypes } from './protocol.ts'
import { encodeStep } from './step-request.ts'

const step = {
  name: 'x',
  root: { lowers: [] },
  mounts: [{ source: { kind: 'tmpfs' }, target: '/t', readonly: true }],
  process: { args: ['/none'], env: ['A=1'], cwd: '/', user: { uid: 0, gid: 0, additionalGids: [7] } },
  network: 'none',
  hostname: 'h',
  extraHosts: [],
  security: 'sandbox',
} as const

describeWith(requirementsOf.root, 'the executor', () => {
  let directory: TemporaryDirectory
  let connection: Connection
  const ask = async (payload: Uint8Array): Promise<Buffer> =>
    (await connection.request(frameTypes.runStep, payload, ({ type }) => type === frameTypes.exit).answer).payload
  const start = async (): Promise<Connection> => {
    const result = await connect(await spawnLauncher(directory.path, ['identity']))
    if (!('launcher' in result)) throw new Error(result.operation)
    return result
  }

  beforeAll(async () => {
    directory = await temporaryDirectory()
    connection = await start()
  })
  afterAll(async () => {
    await connection.close()
    await directory[Symbol.asyncDispose]()
  })

  test('answers every cut of a request, and lives on', async () => {
    const whole = encodeStep(step)
    for (let length = 0; length < whole.length; length += 3)
      expect((await ask(whole.subarray(0, length))).toString('latin1', 4, 5)).toMatch(/[SP]/)
    expect((await ask(whole)).toString('utf8', 9)).toBe('exec /none')
  })

  test('answers random bytes with an error, and lives on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect((await ask(bytes)).toString('utf8', 9)).toBe('read the request')
      }),
      { numRuns: 300 },
    )
    expect((await ask(encodeStep(step))).toString('utf8', 9)).toBe('exec /none')
  })

  test('ends on a frame that is no request, and says so to whoever waits', async () => {
    const other = await start()
    const waiting = other.request(
      frameTypes.runStep,
      encodeStep({ ...step, process: { ...step.process, cwd: '/proc' } }),
      () => false,
    )
    other.send(99, 1, Buffer.alloc(3))
    await expect(waiting.answer).rejects.toMatchObject({ code: 'OCI_RUNTIME_EXECUTOR_DIED' })
    expect(() => other.request(frameTypes.runStep, Buffer.alloc(0), () => true)).toThrow(
      expect.objectContaining({ code: 'OCI_RUNTIME_EXECUTOR_DIED' }),
    )
    await other.close()
  })
})
