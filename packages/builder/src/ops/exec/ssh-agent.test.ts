import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { RuntimeError } from '@ts-oci/runtime'
import { testWith } from '@ts-oci/testing'
import { createJobRunner } from '../../disk/job-runner.ts'
import { openAgentSocket, type AgentSocketOptions } from './ssh-agent.ts'

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

async function startEcho(path: string): Promise<AsyncDisposable> {
  const server = createServer((socket) => void socket.pipe(socket))
  await new Promise<void>((done) => server.listen(path, () => done()))
  return { [Symbol.asyncDispose]: () => new Promise((done) => server.close(() => done())) }
}

function options(more: Partial<AgentSocketOptions> = {}): AgentSocketOptions {
  return {
    agent: join(directory, 'agent'),
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

function ask(path: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = createConnection(path)
    socket.on('data', (bytes) => {
      socket.end()
      done(bytes.toString())
    })
    socket.on('error', fail)
    socket.on('close', () => done(''))
    socket.write('hello')
  })
}

test('a step’s socket leads to the agent, and is gone when the step ends', async () => {
  await using agent = await startEcho(join(directory, 'agent'))
  void agent
  const socket = await openAgentSocket(options())
  expect(await ask(socket.path)).toBe('hello')
  await socket[Symbol.asyncDispose]()
  await expect(ask(socket.path)).rejects.toMatchObject({ code: expect.stringMatching(/ENOENT|ECONNREFUSED/) })
})

test('the path of a store may be longer than a socket’s name can be', async () => {
  await using agent = await startEcho(join(directory, 'agent'))
  void agent
  const deep = join(directory, 'd'.repeat(200))
  mkdirSync(deep)
  await using socket = await openAgentSocket(options({ directory: deep }))
  expect(statSync(socket.path).isSocket()).toBe(true)
})

testWith(['root'], 'mode and owner are those that the mount asks for', async () => {
  await using socket = await openAgentSocket(options({ mode: 0o666, uid: 5, gid: 6 }))
  const { mode, uid, gid } = statSync(socket.path)
  expect([mode & 0o777, uid, gid]).toEqual([0o666, 5, 6])
})

test('an agent that is not there ends the connection, not the build', async () => {
  await using socket = await openAgentSocket(options())
  expect(await ask(socket.path).catch((error: NodeJS.ErrnoException) => error.code)).toMatch(/^$|ECONNRESET|EPIPE/)
})
