/** What the executor's process for file jobs loads: the jobs, a thread for each large one that comes beside others. */
import { handlers as jobs } from './jobs.ts'
import type { LayerJobs } from './job-types.ts'
import type { JobContext } from './pauses.ts'
import { isLargeJob } from './job-weight.ts'

type Job = (input: unknown, context: JobContext) => Promise<unknown>

let running = 0

/** The threads of a confined process are confined as it is. */
async function run(name: keyof LayerJobs, input: unknown, context: JobContext): Promise<unknown> {
  const isAlone = running++ === 0
  try {
    if (isAlone || !isLargeJob(name, input)) return await (jobs[name] as Job)(input, context)
    const { runJobInThread } = await import('./thread-job.ts')
    return await runJobInThread(name, input, context.signal ?? new AbortController().signal)
  } finally {
    running--
  }
}

/** By name, as the runtime asks for them. */
export const handlers: Readonly<Record<string, Job>> = {
  ...Object.fromEntries(
    (Object.keys(jobs) as (keyof LayerJobs)[]).map((name) => [name, (input, context) => run(name, input, context)]),
  ),
  /** Answers when all of the above is loaded. */
  ready: async () => undefined,
}
