import type { Executor } from '@ts-oci/runtime'
import { isTsOciError } from '../base/errors.ts'
import { loadOnce } from '../base/load-once.ts'
import type { LayerJobs } from './job-types.ts'
import type { JobContext } from './pauses.ts'
import { contextRoots, isLargeJob } from './job-weight.ts'

type JobName = keyof LayerJobs
type JobInput<Name extends JobName> = Parameters<LayerJobs[Name]>[0]
type JobOutput<Name extends JobName> = Awaited<ReturnType<LayerJobs[Name]>>

const loadJobs = loadOnce(() => import('./jobs.ts'))

/** Runs file jobs where they may. */
export interface JobRunner {
  /** `needsOwners`: the job reads or writes a tree, whose files may belong to others. */
  run<Name extends JobName>(name: Name, input: JobInput<Name>, needsOwners: boolean): Promise<JobOutput<Name>>
  /**
   * Starts what a step and the layers below it will need: the executor, and its process for file jobs where that does every
   * job. What fails is told when it is needed.
   */
  prepare(): void
}

export interface JobRunnerOptions {
  /** Starts the executor when a job needs one. */
  readonly executor: () => Promise<Executor>
  readonly signal: AbortSignal
  /** The directories of build contexts that the executor's process for file jobs was given to read. */
  readonly grantedContexts?: () => ReadonlySet<string>
}

/**
 * Which process does a job. The executor's child is confined (`native/launcher/confine.c`), and takes 60 ms to start:
 * - As root it unpacks every layer that is in the store already, and does what takes longer than its start; once it runs, it does every job. Until
 *   then the small ones run here, where all that would start it for them alone costs a quarter of a build
 *   (docs/architecture.md, "Who has privilege").
 * - As root whose steps have shifted ids it does all that has to do with owners, too.
 * - As another user it does whatever touches files of foreign owners, which exist only there.
 */
export function createJobRunner(options: JobRunnerOptions): JobRunner {
  const isRoot = process.getuid?.() === 0
  const place = isRoot ? placeAsRoot(options) : placeAsUser(options)
  return {
    prepare: () => {
      options
        .executor()
        .then((executor) => isRoot || executor.runJob(jobModuleUrl(), 'ready', undefined, options.signal))
        .catch(() => undefined)
    },
    run: async (name, input, needsOwners) => {
      const { signal } = options
      signal.throwIfAborted()
      const executor = await place(name, input, needsOwners)
      if (executor !== undefined) return (await executor.runJob(jobModuleUrl(), name, input, signal)) as never
      if (isLargeJob(name, input)) {
        const { runJobInThread } = await import('./thread-job.ts')
        return (await runJobInThread(name, input, signal)) as never
      }
      const { handlers } = await loadJobs()
      const handler = handlers[name] as (input: unknown, context: JobContext) => Promise<unknown>
      return (await handler(input, { signal })) as never
    },
  }
}

/** The executor that does a job; undefined: this process. */
type Place = (name: JobName, input: unknown, needsOwners: boolean) => Promise<Executor | undefined>

function placeAsUser({ executor }: JobRunnerOptions): Place {
  return async (_name, _input, needsOwners) => (needsOwners ? executor() : undefined)
}

/** Jobs that read or make owners. */
const OF_OWNERS: ReadonlySet<JobName> = new Set([
  'extract',
  'packTree',
  'materialize',
  'writePlainTree',
  'walkUpper',
  'recordTree',
  'compareTree',
  'splitLinks',
  'makeDirectory',
  'changeOwner',
])

/** Whether trees show other owners inside than here: to root, all that is shifted looks like files of strangers. */
function isForeign({ idMapping }: Executor): boolean {
  return idMapping.kind === 'shifted'
}

function placeAsRoot({ executor, grantedContexts }: JobRunnerOptions): Place {
  let started: Executor | undefined
  return async (name, input) => {
    // Whoever asks for one of these has started the executor, or found that there is none.
    const mounting = OF_OWNERS.has(name) ? await executor().catch(onlyHere) : undefined
    if (mounting !== undefined && isForeign(mounting)) return (started ??= mounting)
    if (readsBlobs(name, input)) return (started ??= await executor())
    if (started === undefined && !isLargeJob(name, input)) return undefined
    // A container may give root no namespaces: files are then written here, as `tsbuild info` says.
    const running = started ?? (await executor().catch(onlyHere))
    if (running === undefined) return undefined
    const granted = started === undefined ? undefined : grantedContexts?.()
    // A context that became known after the process had started.
    for (const root of granted === undefined ? [] : contextRoots(input)) if (!granted!.has(root)) return undefined
    return (started = running)
  }
}

/** Unpacks what came from elsewhere and lies in the store as it came. */
function readsBlobs(name: JobName, input: unknown): boolean {
  if (name === 'extract') return true
  return name === 'writePlainTree' && (input as JobInput<'writePlainTree'>).archives.length > 0
}

function onlyHere(error: unknown): undefined {
  if (isTsOciError(error) && error.code === 'OCI_RUNTIME_ISOLATION_UNAVAILABLE') return undefined
  throw error
}

function jobModuleUrl(): string {
  return new URL(import.meta.url.endsWith('.ts') ? './child-jobs.ts' : './child-jobs.js', import.meta.url).href
}
