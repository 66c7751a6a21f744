import { chmodSync, closeSync, openSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { localPath } from '@ts-oci/runtime'
import type { JobRunner } from '../../disk/job-runner.ts'
import type { SshAgent } from './types.ts'
import { readMessages, sshString } from './wire.ts'

/** At once; each may have a message in our memory, and takes descriptors that the build needs. The others are closed at once. */
const MAX_CLIENTS = 128

/** A socket that leads to an agent; closed when the step or git ends. */
export interface AgentSocket extends AsyncDisposable {
  readonly path: string
}

export interface AgentSocketOptions {
  readonly agent: SshAgent
  /** Directory of ours in which the socket is made. */
  readonly directory: string
  readonly name: string
}

export interface StepSocketOptions extends AgentSocketOptions {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly jobs: JobRunner
  /** False: to the kernel all of a step's users are one, who owns what we make. */
  readonly hasOwners: boolean
}

/**
 * Makes a socket with the mode and owner that the mount asks for, and carries each request to the agent: the agent's
 * own socket, which belongs to the user, is never shown to a step.
 */
export async function openStepSocket(options: StepSocketOptions): Promise<AgentSocket> {
  const socket = await openAgentSocket(options)
  const { path } = socket
  chmodSync(localPath(path), options.mode)
  // Root of a step need not be the root that made it.
  if (options.hasOwners && (options.uid !== 0 || options.gid !== 0 || process.getuid?.() === 0))
    await options.jobs.run('changeOwner', { path, uid: options.uid, gid: options.gid }, true)
  return socket
}

/** Of the user who builds alone, for programs that run outside of steps: its path is short, however deep the directory lies. */
export async function openOwnSocket({ agent, directory, name }: AgentSocketOptions): Promise<AgentSocket> {
  const fd = openSync(localPath(directory), 'r')
  const socket = await openAgentSocket({ agent, directory, name }).catch((error: unknown) => {
    closeSync(fd)
    throw error
  })
  return {
    path: `/proc/${process.pid}/fd/${fd}/${name}`,
    [Symbol.asyncDispose]: async () => {
      closeSync(fd)
      await socket[Symbol.asyncDispose]()
    },
  }
}

async function openAgentSocket({ agent, directory, name }: AgentSocketOptions): Promise<AgentSocket> {
  const clients = new Set<Socket>()
  const server = createServer((client) => {
    client.on('error', () => undefined)
    clients.add(client)
    client.on('close', () => clients.delete(client))
    void serve(client, agent)
  })
  server.maxConnections = MAX_CLIENTS
  await listenIn(server, directory, name)
  const path = join(directory, name)
  chmodSync(localPath(path), 0o600)
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.destroy()
      await new Promise<void>((done) => server.close(() => done()))
    },
  }
}

/**
 * One request after the other, and the next one when there is room for its answer: a step cannot fill our memory. Whatever goes
 * wrong ends the connection, not the build.
 */
async function serve(client: Socket, agent: SshAgent): Promise<void> {
  const connection = agent.connect()
  // Who has gone waits for no answer: of an agent that is asking its user none may come.
  client.once('close', () => connection.close())
  const answer = async function* (requests: Readable): AsyncGenerator<Buffer> {
    for await (const request of readMessages(requests)) yield sshString(await connection.ask(request))
  }
  try {
    await pipeline(client, answer, client)
  } catch {
    // The client has gone, or the agent.
  } finally {
    client.destroySoon()
  }
}

/** A socket's path may be 107 bytes long, a store's is often longer: it is bound through the directory's descriptor. */
async function listenIn(server: Server, directory: string, name: string): Promise<void> {
  const fd = openSync(localPath(directory), 'r')
  try {
    await new Promise<void>((done, fail) => {
      server.once('error', fail)
      server.listen(`/proc/self/fd/${fd}/${name}`, () => done())
    })
  } finally {
    closeSync(fd)
  }
}
