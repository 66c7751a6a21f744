import { deserialize, serialize } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { errnoOf, privateMounts, type PrivateMount } from '@ts-oci/runtime'
import { BuilderError, isTsOciError, TsOciError } from '../base/errors.ts'
import type { LayerJobs } from './job-types.ts'

export interface JobRequest {
  readonly name: keyof LayerJobs
  readonly input: unknown
  /** What this thread sees, it sees too. */
  readonly mounts: readonly PrivateMount[]
}

/** What a thread answers: errors as facts, since classes do not survive serialisation. */
export type JobReply = { readonly output: unknown } | { readonly error: ErrorFacts }

interface ErrorFacts {
  readonly code: string | undefined
  readonly message: string
  readonly stack: string | undefined
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>> | undefined
}

/** Runs a file job in a thread, which ends when `signal` says so. @throws OCI_CANCELED, and what the job throws */
export async function runJobInThread(name: keyof LayerJobs, input: unknown, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted()
  const isSource = import.meta.url.endsWith('.ts')
  const worker = new Worker(new URL(isSource ? './job-thread.ts' : './job-thread.js', import.meta.url), {
    // v8.serialize keeps Buffers as they are; a structured clone makes plain arrays of them.
    workerData: serialize({ name, input, mounts: privateMounts() } satisfies JobRequest),
    // From the sources Node strips the types itself, and finds other packages' sources by this condition.
    execArgv: isSource ? ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning'] : [],
  })
  const stop = (): void => void worker.terminate()
  signal.addEventListener('abort', stop, { once: true })
  try {
    const reply = await new Promise<JobReply>((resolve, reject) => {
      worker.once('message', (message: Uint8Array) => resolve(deserialize(message) as JobReply))
      worker.once('error', reject)
      worker.once('exit', () =>
        reject(signal.aborted ? canceled(signal) : new Error(`the thread of the file job ${name} ended early`)),
      )
    })
    if ('error' in reply) throw fromFacts(reply.error)
    return reply.output
  } finally {
    signal.removeEventListener('abort', stop)
    await worker.terminate()
  }
}

function canceled(signal: AbortSignal): BuilderError {
  return new BuilderError('OCI_CANCELED', 'the build was canceled', { cause: signal.reason })
}

/** An error as plain data. */
export function toFacts(error: unknown): ErrorFacts {
  const known = isTsOciError(error)
    ? { code: error.code, hint: error.hint, details: error.details }
    : { code: errnoOf(error), hint: undefined, details: undefined }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { message, stack, ...known }
}

function fromFacts({ code, message, stack, hint, details }: ErrorFacts): Error {
  if (code?.startsWith('OCI_'))
    return new TsOciError(code, message, { hint, ...(details === undefined ? {} : { details }) })
  return Object.assign(new Error(message), {
    ...(stack === undefined ? {} : { stack }),
    ...(code === undefined ? {} : { code }),
  })
}
