import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { describeWith, temporaryDirectory } from '@ts-oci/testing'
import type { TemporaryDirectory } from '@ts-oci/testing'
import { open } from '../network/none/none.ts'
import type { Network } from '../network/types.ts'
import { createFieldWriter, fieldTags, frameTypes } from '../protocol.ts'
import { encodeStep } from '../steps/request.ts'
import { requirementsOf } from '../testing/machine.test.helper.ts'
import { connect } from './connection.ts'
import type { Connection } from './connection.ts'
import { spawnLauncher } from './launcher.ts'

const step = {
  name: 'x',
  root: { kind: 'overlay', lowers: [] },
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
  let network: Network
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
    network = await open()
  })
  afterAll(async () => {
    await connection.close()
    await directory[Symbol.asyncDispose]()
  })

  test('answers every cut of a request, and lives on', async () => {
    const whole = encodeStep(step, network)
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
    expect((await ask(encodeStep(step, network))).toString('utf8', 9)).toBe('exec /none')
  })

  test('ends on a frame that is no request, and says so to whoever waits', async () => {
    const other = await start()
    const waiting = other.request(
      frameTypes.runStep,
      encodeStep({ ...step, process: { ...step.process, cwd: '/proc' } }, network),
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

describeWith([...requirementsOf.root, 'prlimit'], 'a removal of trees', () => {
  let directory: TemporaryDirectory
  let connection: Connection

  beforeAll(async () => {
    directory = await temporaryDirectory()
    const result = await connect(await spawnLauncher(directory.path, ['identity']))
    if (!('launcher' in result)) throw new Error(result.operation)
    connection = result
  })
  afterAll(async () => {
    await connection.close()
    await directory[Symbol.asyncDispose]()
  })

  /** The errno and the path of the answer. */
  async function remove(...paths: readonly string[]): Promise<readonly [number, string]> {
    const fields = createFieldWriter()
    for (const path of paths) fields.string(fieldTags.path, path)
    return removeRaw(fields.payload())
  }

  async function removeRaw(payload: Uint8Array): Promise<readonly [number, string]> {
    const { answer } = connection.request(frameTypes.removeTrees, payload, ({ type }) => type === frameTypes.removed)
    const frame = await answer
    return [frame.payload.readUInt32LE(0), frame.payload.toString('utf8', 4)]
  }

  const children = (pid: number): number[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  const executor = (): number => children(connection.launcher.child.pid!)[0]!
  const descriptors = (): number => readdirSync(`/proc/${executor()}/fd`).length

  test('that is killed is no success', async () => {
    const tree = directory.join('many')
    mkdirSync(tree)
    for (let number = 0; number < 20_000; number++) writeFileSync(`${tree}/${number}`, '')
    const answer = remove(tree)
    for (let child: number | undefined; child === undefined;) {
      child = children(executor())[0]
      if (child !== undefined) process.kill(child, 'SIGKILL')
      else await new Promise((resolve) => setImmediate(resolve))
    }
    expect((await answer)[0]).not.toBe(0)
    expect(existsSync(tree)).toBe(true)
    expect(await remove(tree)).toEqual([0, ''])
    expect(existsSync(tree)).toBe(false)
  })

  test('whose request is cut short, names nothing absolute, or nothing, is told so', async () => {
    const fields = createFieldWriter()
    fields.string(fieldTags.path, directory.join('cut'))
    mkdirSync(directory.join('cut'))
    expect((await removeRaw(fields.payload().subarray(0, 12)))[0]).not.toBe(0)
    expect(existsSync(directory.join('cut'))).toBe(true)
    expect(await remove('relative')).toEqual([22, 'relative'])
    expect(await remove()).toEqual([0, ''])
  })

  test('that cannot be started is told so, and leaks no descriptor', async () => {
    const before = descriptors()
    const used = new Set(readdirSync(`/proc/${executor()}/fd`).map(Number))
    const [none, one] = Array.from({ length: 64 }, (_, fd) => fd).filter((fd) => !used.has(fd))
    // No room for a pipe; then for one end of it alone.
    for (const soft of [none, one]) {
      limit(executor(), `--nofile=${soft}:`)
      for (let round = 0; round < 20; round++) expect((await remove(directory.join('none')))[0]).toBe(24)
    }
    limit(executor(), '--nofile=1024:')
    expect(await remove(directory.join('none'))).toEqual([0, ''])
    expect(descriptors()).toBe(before)
  })
})

/** "SOFT:" leaves the hard limit, which not every root may raise again. */
function limit(pid: number, flag: string): void {
  execFileSync('prlimit', ['--pid', String(pid), flag])
}
