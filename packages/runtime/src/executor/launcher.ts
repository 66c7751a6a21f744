import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { isMainThread } from 'node:worker_threads'
import { RuntimeError } from '../errors.ts'
import { nativePartPath } from '../native.ts'

/** The launcher as a child of this process: its sockets, and what it said on standard error. */
export interface Launcher {
  readonly child: ChildProcess
  readonly control: Socket
  readonly jobs: Socket
  /** Resolves when the launcher has ended, and with it everything below it. */
  readonly ended: Promise<void>
  complaint(): string
}

const COMPLAINT_LIMIT = 4096

/**
 * `trees`: a mount that only the executor is to see, attached at a directory; the descriptor stays the caller's.
 *
 * Spawns the launcher in `executor` mode. From the main thread only: the kernel sends the parent-death signal when the
 * *thread* that spawned ends. Throws OCI_RUNTIME_NATIVE_MISSING, OCI_RUNTIME_UNSUPPORTED, OCI_RUNTIME_EXECUTOR.
 */
export async function spawnLauncher(
  stateDirectory: string,
  map: readonly string[],
  trees?: { readonly fd: number; readonly at: string },
): Promise<Launcher> {
  if (!isMainThread) {
    throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', 'an executor starts from the main thread only', {
      hint: 'start it before the worker, or send the worker its results',
    })
  }
  const path = nativePartPath('launcher')
  // Descriptors from 3 on are socket pairs: 3 for control, 4 for the child that does file jobs.
  // No environment: it would lie in the memory of whatever the executor clones, and may hold credentials.
  const child = spawn(path, ['executor', stateDirectory, ...(trees ? ['trees', trees.at] : []), ...map], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', ...(trees ? [trees.fd] : [])],
    cwd: '/',
    env: {},
  })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) =>
      reject(new RuntimeError('OCI_RUNTIME_EXECUTOR', `${path} could not be started: ${cause.message}`, { cause })),
    )
  })
  let complaint = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-COMPLAINT_LIMIT)
  })
  const control = child.stdio[3] as Socket
  const jobs = child.stdio[4] as Socket
  // The end of a socket says the same and comes for certain; without a listener an EPIPE would end this process.
  control.on('error', () => {})
  jobs.on('error', () => {})
  child.unref()
  for (const stream of [control, jobs, child.stderr as unknown as Socket]) stream.unref()
  return { child, control, jobs, ended, complaint: () => complaint.trim() }
}
