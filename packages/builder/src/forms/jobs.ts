import type { Executor } from '@ts-oci/runtime'
import type { LayerJobs } from '../layer/job-types.ts'
import type { StepsContext } from '../layer/steps.ts'

type JobName = keyof LayerJobs
type JobInput<Name extends JobName> = Parameters<LayerJobs[Name]>[0]
type JobOutput<Name extends JobName> = Awaited<ReturnType<LayerJobs[Name]>>

/** Runs file jobs where they may: files of foreign owners are touched inside the executor, all else in this process. */
export interface JobRunner {
  /** `needsOwners`: the job reads or writes a tree, whose files may belong to others. */
  run<Name extends JobName>(name: Name, input: JobInput<Name>, needsOwners: boolean): Promise<JobOutput<Name>>
}

/** @param executor starts the executor when a job needs one; as root none does. Large jobs get a thread. */
export function createJobRunner(options: {
  readonly executor: () => Promise<Executor>
  readonly signal: AbortSignal
}): JobRunner {
  const isRoot = process.getuid?.() === 0
  return {
    run: async (name, input, needsOwners) => {
      options.signal.throwIfAborted()
      if (isRoot || !needsOwners) {
        const { isLargeJob, runJobInThread } = await import('./thread-job.ts')
        if (isLargeJob(name, input)) return (await runJobInThread(name, input, options.signal)) as never
        const { handlers } = await import('../layer/jobs.ts')
        const handler = handlers[name] as (input: unknown, context: StepsContext) => Promise<unknown>
        return (await handler(input, { signal: options.signal })) as never
      }
      const executor = await options.executor()
      return (await executor.runJob(jobModuleUrl(), name, input, options.signal)) as never
    },
  }
}

function jobModuleUrl(): string {
  return new URL(import.meta.url.endsWith('.ts') ? '../layer/jobs.ts' : '../layer/jobs.js', import.meta.url).href
}
