import { RuntimeError } from '../errors.ts'
import { diedHint } from '../isolation/place.ts'
import { MADE_AS_ROOT } from '../files/made-as-root.ts'
import type { IdMapping } from '../isolation/types.ts'
import type { JobLimits } from './types.ts'
import type { Connection } from './connection.ts'
import { createFieldWriter, fieldTags, frameTypes } from '../protocol.ts'
import { readReply, writeMessage } from './job-protocol.ts'
import type { JobReply } from './job-protocol.ts'
import { jobChildCommand, jobChildFiles } from './job-command.ts'

export interface JobRunner {
  run<Input, Output>(moduleUrl: string, name: string, input: Input, signal?: AbortSignal): Promise<Output>
  close(): void
}

/** Jobs run in one Node child inside the executor, started at the first, which sees the host's files with its ids. */
export function createJobRunner(
  connection: Connection,
  ids: IdMapping['kind'],
  limits: (() => JobLimits) | undefined,
): JobRunner {
  let child: JobChild | undefined
  return {
    run: (moduleUrl, name, input, signal) =>
      (child ??= startJobChild(connection, ids, limits?.())).run(moduleUrl, name, input, signal) as Promise<never>,
    close: () => child?.close(),
  }
}

interface JobChild {
  run(moduleUrl: string, name: string, input: unknown, signal?: AbortSignal): Promise<unknown>
  close(): void
}

interface Waiting {
  readonly resolve: (output: unknown) => void
  readonly reject: (error: unknown) => void
}

function startJobChild(connection: Connection, ids: IdMapping['kind'], limits: JobLimits | undefined): JobChild {
  const socket = connection.launcher.jobs
  const waiting = new Map<number, Waiting>()
  let nextId = 1
  let ended: RuntimeError | undefined
  const settle = (id: number): Waiting | undefined => {
    const found = waiting.get(id)
    waiting.delete(id)
    if (waiting.size === 0) socket.unref()
    return found
  }
  const end = (why: string): void => {
    ended ??= new RuntimeError('OCI_RUNTIME_EXECUTOR_DIED', `the process for file jobs ${why}`, {
      hint: diedHint(),
      details: { output: connection.launcher.complaint() },
    })
    for (const id of waiting.keys()) settle(id)?.reject(ended)
  }
  const answer = (reply: JobReply): void => {
    const found = settle(reply.id)
    if ('output' in reply) found?.resolve(reply.output)
    else found?.reject(reply.error)
  }
  socket.on('data', readReply(answer))
  socket.once('close', () => end('ended'))
  socket.once('end', () => end('ended'))
  connection.onUnsolicited(({ type }) => {
    if (type === frameTypes.jobsEnded) end(`could not go on: ${connection.launcher.complaint() || 'it ended'}`)
  })
  connection.send(frameTypes.startJobs, 0, startPayload(ids, limits))
  return {
    run: (moduleUrl, name, input, signal) => {
      if (ended) return Promise.reject(ended)
      if (signal?.aborted) return Promise.reject(canceled(name, signal))
      const id = nextId++
      const abort = (): void => {
        writeMessage(socket, { id, cancel: true })
        settle(id)?.reject(canceled(name, signal!))
      }
      const promise = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
      socket.ref()
      writeMessage(socket, { id, moduleUrl, name, input })
      signal?.addEventListener('abort', abort, { once: true })
      return promise.finally(() => signal?.removeEventListener('abort', abort))
    },
    close: () => end('was closed'),
  }
}

function startPayload(ids: IdMapping['kind'], limits: JobLimits | undefined): Buffer {
  const fields = createFieldWriter()
  for (const arg of jobChildCommand()) fields.string(fieldTags.arg, arg)
  // Whoever reads hostile bytes gets no credentials; and Node reads no configuration that it may not see.
  fields.string(fieldTags.env, 'OPENSSL_CONF=/dev/null')
  // The launcher's `take_callers_id`.
  if (ids === 'shifted') fields.string(fieldTags.env, `${MADE_AS_ROOT}=1`)
  const libraries = process.env['LD_LIBRARY_PATH']
  if (libraries !== undefined) fields.string(fieldTags.env, `LD_LIBRARY_PATH=${libraries}`)
  if (limits === undefined) return fields.payload()
  fields.string(fieldTags.mountBase, limits.base)
  for (const path of limits.writable) fields.string(fieldTags.path, path)
  for (const path of [...jobChildFiles(), ...limits.readable]) fields.string(fieldTags.readable, path)
  return fields.payload()
}

function canceled(name: string, signal: AbortSignal): RuntimeError {
  return new RuntimeError('OCI_RUNTIME_CANCELED', `file job ${name}: canceled`, { cause: signal.reason })
}
