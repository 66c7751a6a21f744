import { chmodSync, closeSync, openSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { JobRunner } from '../../disk/job-runner.ts'

/** A socket of a step that leads to an agent outside; closed when the step ends. */
export interface AgentSocket extends AsyncDisposable {
  readonly path: string
}

export interface AgentSocketOptions {
  /** The agent's own socket. */
  readonly agent: string
  /** Directory of ours in which the step's socket is made. */
  readonly directory: string
  readonly name: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly jobs: JobRunner
  /** False: to the kernel all of a step's users are one, who owns what we make. */
  readonly hasOwners: boolean
}

/**
 * Makes a socket with the mode and owner that the mount asks for, and carries each connection to the agent: the agent's
 * own socket, which belongs to the user, is never shown to a step.
 */
export async function openAgentSocket(options: AgentSocketOptions): Promise<AgentSocket> {
  const connections = new Set<Socket>()
  const server = createServer((client) => {
    const agent = createConnection(options.agent)
    for (const socket of [client, agent]) {
      connections.add(socket)
      socket.on('close', () => connections.delete(socket))
      socket.on('error', () => {
        client.destroy()
        agent.destroy()
      })
    }
    client.pipe(agent).pipe(client)
  })
  const path = join(options.directory, options.name)
  await listenIn(server, options.directory, options.name)
  chmodSync(path, options.mode)
  // Root of a step need not be the root that made it.
  if (options.hasOwners && (options.uid !== 0 || options.gid !== 0 || process.getuid?.() === 0))
    await options.jobs.run('changeOwner', { path, uid: options.uid, gid: options.gid }, true)
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      for (const socket of connections) socket.destroy()
      await new Promise<void>((done) => server.close(() => done()))
    },
  }
}

/** A socket's path may be 107 bytes long, a store's is often longer: it is bound through the directory's descriptor. */
async function listenIn(server: Server, directory: string, name: string): Promise<void> {
  const fd = openSync(directory, 'r')
  try {
    await new Promise<void>((done, fail) => {
      server.once('error', fail)
      server.listen(`/proc/self/fd/${fd}/${name}`, () => done())
    })
  } finally {
    closeSync(fd)
  }
}
