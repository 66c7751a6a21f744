import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { release, tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import * as families from '@ts-oci/runtime/families'
import { defaultRoot } from '../store/paths.ts'
import { isTsOciError } from '../base/errors.ts'
import { formatPlatform, hostPlatform } from '../oci/platform.ts'
import type {
  CommonOptions,
  FileJobsReport,
  IsolationReport,
  MachineProblem,
  MachineReport,
  NetworkReport,
} from '../build/public-types.ts'
import type { ExecutorOptions } from '@ts-oci/runtime'
import type { Trial } from './try-build.ts'

type IsolationMode = IsolationReport['mode']

const TRIAL_PREFIX = '.tsbuild-info-'

/**
 * What this machine can do: tries each isolation by a real build with a step, on the store's disk and in a store that is gone
 * when this returns, and says why one does not work and what helps. Throws nothing that belongs to the machine.
 * @example
 * const { isolations } = await info()
 * const usable = isolations.filter((isolation) => isolation.isUsable)
 */
export async function info(options: CommonOptions = {}): Promise<MachineReport> {
  const root = options.session?.store.root ?? options.store ?? defaultRoot(process.env)
  const disk = openDisk(root)
  try {
    const trial = await prepare(disk.directory, options.signal)
    const storeProblem = disk.problem ?? trial.problem
    const isolations: IsolationReport[] = []
    for (const { name } of families.isolations) isolations.push(await tryIsolation(name, trial))
    const taken = await takenByAuto(trial)
    const hasExecutor = taken.mode !== undefined || isolations.some(({ isUsable }) => isUsable)
    return {
      platform: formatPlatform(hostPlatform()),
      kernel: release(),
      node: process.version,
      user: userName(),
      store: root,
      storeFreeBytes: freeBytes(root),
      storeProblem,
      isolations,
      isolation: isolations.find(({ mode, isUsable }) => mode === taken.mode && isUsable)?.mode,
      network: taken.network,
      fileJobs: await reportFileJobs(hasExecutor),
    }
  } finally {
    rmSync(disk.directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** A directory on the disk of the store, which may not be made yet; of the temporary files where nothing can be written. */
function openDisk(root: string): { readonly directory: string; readonly problem?: MachineProblem } {
  let at = root
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at)
  try {
    return { directory: mkdtempSync(join(at, TRIAL_PREFIX)) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = `${at} cannot be written: ${code}`
    const hint = 'name another directory by --store or TSBUILD_HOME: in a container a volume that this user owns'
    return { directory: mkdtempSync(join(tmpdir(), TRIAL_PREFIX)), problem: { reason, hint } }
  }
}

interface PreparedTrial {
  readonly directory: string
  /** Undefined where not even a build without a step works. */
  readonly trial: Trial | undefined
  readonly problem: MachineProblem | undefined
  readonly signal: AbortSignal | undefined
}

async function prepare(directory: string, signal: AbortSignal | undefined): Promise<PreparedTrial> {
  try {
    const { prepareTrial } = await import('./try-build.ts')
    return { directory, trial: await prepareTrial(directory, signal), problem: undefined, signal }
  } catch (error) {
    if (!isTsOciError(error) || signal?.aborted) throw error
    return { directory, trial: undefined, problem: { reason: error.message, hint: error.hint }, signal }
  }
}

/** The process for file jobs lies in the executor: where none starts, none is confined. */
async function reportFileJobs(hasExecutor: boolean): Promise<FileJobsReport> {
  const { landlockVersion } = await import('@ts-oci/runtime')
  const landlock = landlockVersion()
  if (!hasExecutor)
    return { isConfined: false, landlock, reason: 'no executor starts here: files are written by this process itself' }
  return {
    isConfined: true,
    landlock,
    // The first version forbids every rename and link between directories, so it is not used.
    reason: landlock >= 2 ? undefined : 'no Landlock of version 2: all is read-only but the store, yet can be read',
  }
}

async function tryIsolation(mode: IsolationMode, prepared: PreparedTrial): Promise<IsolationReport> {
  const { directory, trial, signal } = prepared
  const own = join(directory, mode)
  mkdirSync(join(own, 'state'), { recursive: true, mode: 0o700 })
  try {
    const { startExecutor, subordinateRemedy } = await import('@ts-oci/runtime')
    await using executor = await startExecutor(executorOptions(mode, join(own, 'state'), signal))
    const { kind } = executor.idMapping
    const isShort = kind === 'single'
    let snapshots: IsolationReport['snapshots']
    try {
      const { tryBuild } = await import('./try-build.ts')
      if (trial !== undefined) snapshots = await tryBuild(trial, mode, join(own, 'store'))
    } finally {
      // Trees hold files of other owners.
      await executor.removeTrees([join(own, 'store')])
    }
    return {
      mode,
      isUsable: true,
      ids: kind === 'identity' ? 'all' : kind,
      reason: isShort ? 'one user id: a supervisor answers for the others, at some cost in time' : undefined,
      hint: isShort ? subordinateRemedy() : undefined,
      snapshots,
    }
  } catch (error) {
    if (!isTsOciError(error) || signal?.aborted) throw error
    const reason = shortReason(error.message)
    return { mode, isUsable: false, ids: undefined, reason, hint: error.hint, snapshots: undefined }
  }
}

interface Taken {
  readonly mode?: IsolationMode
  readonly network?: NetworkReport
}

/** Which isolation a build takes that names none: the first that starts, even where its steps then fail. */
async function takenByAuto({ directory, signal }: PreparedTrial): Promise<Taken> {
  const { startExecutor } = await import('@ts-oci/runtime')
  const state = join(directory, 'auto')
  mkdirSync(state, { mode: 0o700 })
  try {
    await using executor = await startExecutor(executorOptions('auto', state, signal))
    const { kind, notice } = await executor.openNetwork('default')
    return { mode: executor.isolation, network: { kind, reason: notice?.replace(/^network: /, '') } }
  } catch (error) {
    if (!isTsOciError(error) || signal?.aborted) throw error
    return {}
  }
}

function executorOptions(
  isolation: ExecutorOptions['isolation'],
  stateDirectory: string,
  signal: AbortSignal | undefined,
): ExecutorOptions {
  return { isolation, stateDirectory, ...(signal && { signal }) }
}

/** Without the name of the step that was tried, and what every isolation that does not start says first. */
function shortReason(message: string): string {
  return message.replace(/^\[[^\]]*\] RUN \[.*?\]: /, '').replace(/^this machine cannot isolate a step: \w+: /, '')
}

function userName(): string {
  const uid = process.getuid?.() ?? -1
  try {
    return `${userInfo().username} (${uid})`
  } catch {
    // A container may run under an id that has no name.
    return String(uid)
  }
}

/** Of the nearest directory that exists: the store may not be made yet. */
function freeBytes(path: string): number | undefined {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = statfsSync(at)
      return bavail * bsize
    } catch {
      if (dirname(at) === at) return undefined
    }
  }
}
