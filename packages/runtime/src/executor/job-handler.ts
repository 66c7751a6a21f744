import { RuntimeError } from '../errors.ts'

/** What a module of file jobs exports as `handlers`. */
export type JobHandlers = Readonly<Record<string, (input: never, context: JobContext) => unknown>>

export interface JobContext {
  readonly signal: AbortSignal | undefined
}

/** Runs `handlers[name]` of a module in this process. Throws OCI_RUNTIME_EXECUTOR for a name that it does not have. */
export async function runHandler(
  moduleUrl: string,
  name: string,
  input: unknown,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  if (signal?.aborted)
    throw new RuntimeError('OCI_RUNTIME_CANCELED', `file job ${name}: canceled`, { cause: signal.reason })
  const { handlers } = (await import(moduleUrl)) as { readonly handlers?: JobHandlers }
  const handler = handlers && Object.hasOwn(handlers, name) ? handlers[name] : undefined
  if (!handler) throw new RuntimeError('OCI_RUNTIME_EXECUTOR', `there is no file job ${name} in ${moduleUrl}`)
  return handler(input as never, { signal })
}
