import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { RuntimeError } from '@ts-oci/runtime'
import { testWith } from '@ts-oci/testing'
import { createJobRunner } from '../../disk/job-runner.ts'
import { openOwnSocket, openStepSocket, type StepSocketOptions } from './agent-socket.ts'
import { createLentAgent } from './lent-agent.ts'

let directory: string
const jobs = createJobRunner({
  // As in a container that gives no namespaces.
  executor: () => Promise.reject(new RuntimeError('OCI_RUNTIME_ISOLATION_UNAVAILABLE', 'no executor here')),
  signal: new AbortController().signal,
})

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ssh-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** An agent that answers a request with the request. */
async function startEcho(path: string, heard: Buffer[] = []): Promise<AsyncDisposable> {
  const server = createServer((socket) => {
    socket.on('data', (bytes: Buffer) => heard.push(bytes))
    socket.pipe(socket)
  })
  await new Promise<void>((done) => server.listen(path, () => done()))
  return { [Symbol.asyncDispose]: () => new Promise((done) => server.close(() => done())) }
}

function options(more: Partial<StepSocketOptions> = {}): StepSocketOptions {
  return {
    agent: createLentAgent(join(directory, 'agent')),
    directory,
    name: 'step',
    mode: 0o600,
    uid: 0,
    gid: 0,
    jobs,
    hasOwners: true,
    ...more,
  }
}

/** Sends messages of one byte, one write for all, and answers what comes back for them. */
function ask(path: string, ...types: readonly number[]): Promise<string> {
  return new Promise((done, fail) => {
    const socket = createConnection(path)
    let heard = Buffer.alloc(0)
    socket.on('data', (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes])
      if (heard.length === 5 * types.length) socket.end()
    })
    socket.on('error', fail)
    socket.on('close', () => done(heard.toString('hex')))
    socket.write(Buffer.from(types.flatMap((type) => [0, 0, 0, 1, type])))
  })
}

const LIST = 11
const SIGN = 13

test('a step’s socket leads to the agent, and is gone when the step ends', async () => {
  await using agent = await startEcho(join(directory, 'agent'))
  void agent
  const socket = await openStepSocket(options())
  expect(await ask(socket.path, LIST)).toBe('000000010b')
  await socket[Symbol.asyncDispose]()
  await expect(ask(socket.path, LIST)).rejects.toMatchObject({ code: expect.stringMatching(/ENOENT|ECONNREFUSED/) })
})

test('the path of a store may be longer than a socket’s name can be', async () => {
  await using agent = await startEcho(join(directory, 'agent'))
  void agent
  const deep = join(directory, 'd'.repeat(200))
  mkdirSync(deep)
  await using socket = await openStepSocket(options({ directory: deep }))
  expect(statSync(socket.path).isSocket()).toBe(true)
})

testWith(['root'], 'mode and owner are those that the mount asks for', async () => {
  await using socket = await openStepSocket(options({ mode: 0o666, uid: 5, gid: 6 }))
  const { mode, uid, gid } = statSync(socket.path)
  expect([mode & 0o777, uid, gid]).toEqual([0o666, 5, 6])
})

test('an agent that is not there ends the connection, not the build', async () => {
  await using socket = await openStepSocket(options())
  expect(await ask(socket.path, LIST).catch((error: NodeJS.ErrnoException) => error.code)).toMatch(
    /^$|ECONNRESET|EPIPE/,
  )
})

test('a step may list keys and sign, and may not add, remove or lock them or ask for extensions', async () => {
  const heard: Buffer[] = []
  await using agent = await startEcho(join(directory, 'agent'), heard)
  void agent
  await using socket = await openStepSocket(options())
  // Add, remove, remove all, lock, unlock, add from a card, extension: SSH_AGENT_FAILURE each, in turn with what is answered.
  const answers = await ask(socket.path, 17, 18, LIST, 19, 22, 23, 26, 27, SIGN, 25)
  expect(answers).toBe([5, 5, LIST, 5, 5, 5, 5, 5, SIGN, 5].map((type) => `00000001${hex(type)}`).join(''))
  expect(Buffer.concat(heard).toString('hex')).toBe(`00000001${hex(LIST)}00000001${hex(SIGN)}`)
})

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}

test('a message that is too long ends the connection', async () => {
  await using agent = await startEcho(join(directory, 'agent'))
  void agent
  await using socket = await openStepSocket(options())
  const closed = new Promise((done) => {
    const client = createConnection(socket.path, () => client.write(Buffer.from('7fffffff0b', 'hex')))
    client.on('close', done)
    client.on('error', () => undefined)
    client.resume()
  })
  await closed
})

test('a program outside of steps is given a short path to a socket of its user alone', async () => {
  await using agent = await startEcho(join(directory, 'agent'))
  void agent
  const deep = join(directory, 'd'.repeat(200))
  mkdirSync(deep)
  await using socket = await openOwnSocket({ ...options(), directory: deep })
  expect(socket.path.length).toBeLessThan(60)
  expect(await ask(socket.path, LIST)).toBe('000000010b')
  expect(statSync(join(deep, 'step')).mode & 0o777).toBe(0o600)
})

test('who asks and reads no answers is not asked for more', async () => {
  const heard: Buffer[] = []
  await using agent = await startEcho(join(directory, 'agent'), heard)
  void agent
  await using socket = await openStepSocket(options())
  const client = createConnection(socket.path)
  client.on('error', () => undefined)
  const request = Buffer.alloc(4 + 1000, LIST)
  request.writeUInt32BE(1000)
  const REQUESTS = 20_000
  client.write(Buffer.concat(Array.from({ length: REQUESTS }, () => request)))
  const sizeHeard = (): number => heard.reduce((sum, { length }) => sum + length, 0)
  let last = -1
  while (last !== sizeHeard()) {
    last = sizeHeard()
    await delay(300)
  }
  expect(last).toBeGreaterThan(0)
  // What sockets hold of it, in both directions.
  expect(last).toBeLessThan((REQUESTS * request.length) / 4)
  client.destroy()
})

test('who goes while the agent thinks leaves no connection to it', async () => {
  const asked = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  const server = createServer((connection) => {
    connection.once('data', () => asked.resolve())
    connection.on('close', () => left.resolve())
    connection.on('error', () => undefined)
    connection.resume()
  })
  await new Promise<void>((done) => server.listen(join(directory, 'agent'), () => done()))
  const socket = await openStepSocket(options())
  const client = createConnection(socket.path, () => client.write(Buffer.from('000000010b', 'hex')))
  client.on('error', () => undefined)
  await asked.promise
  await socket[Symbol.asyncDispose]()
  await left.promise
  await new Promise((done) => server.close(done))
})

test('more clients than a step needs are turned away, and those that are there are served', async () => {
  await using agent = await startEcho(join(directory, 'agent'))
  void agent
  await using socket = await openStepSocket(options())
  const held: Socket[] = []
  let closed = 0
  for (let count = 0; count < 400; count++) {
    const client = createConnection(socket.path)
    client.on('error', () => undefined)
    client.on('close', () => closed++)
    client.resume()
    held.push(client)
  }
  while (closed === 0) await delay(20)
  await delay(300)
  expect(400 - closed).toBeGreaterThan(100)
  expect(400 - closed).toBeLessThan(200)
  for (const client of held) client.destroy()
  while (closed < 400) await delay(20)
  expect(await ask(socket.path, LIST)).toBe('000000010b')
})
