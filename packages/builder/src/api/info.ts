import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { release, tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import * as families from '@ts-oci/runtime/families'
import { defaultRoot } from '../store/paths.ts'
import { isTsOciError } from '../base/errors.ts'
import { formatPlatform, hostPlatform } from '../oci/platform.ts'
import type { CommonOptions, FileJobsReport, IsolationReport, MachineReport } from '../build/public-types.ts'

/**
 * What this machine can do: tries each isolation for real, in namespaces that are gone when this returns, and says why
 * one does not work and what helps. Throws nothing that belongs to the machine.
 * @example
 * const { isolations } = await info()
 * const usable = isolations.filter((isolation) => isolation.isUsable)
 */
export async function info(options: CommonOptions = {}): Promise<MachineReport> {
  const isolations: IsolationReport[] = []
  for (const { name } of families.isolations) isolations.push(await tryIsolation(name, options.signal))
  const root = options.session?.store.root ?? options.store ?? defaultRoot(process.env)
  return {
    platform: formatPlatform(hostPlatform()),
    kernel: release(),
    node: process.version,
    user: userName(),
    store: root,
    storeFreeBytes: freeBytes(root),
    isolations,
    isolation: isolations.find(({ isUsable }) => isUsable)?.mode,
    fileJobs: await reportFileJobs(isolations.some(({ isUsable }) => isUsable)),
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

async function tryIsolation(mode: IsolationReport['mode'], signal: AbortSignal | undefined): Promise<IsolationReport> {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'ts-oci-info-'))
  try {
    const { startExecutor, subordinateRemedy } = await import('@ts-oci/runtime')
    await using executor = await startExecutor({ isolation: mode, stateDirectory, ...(signal && { signal }) })
    const { kind } = executor.idMapping
    const isShort = kind === 'single'
    return {
      mode,
      isUsable: true,
      ids: kind === 'identity' ? 'all' : kind,
      reason: isShort ? 'one user id: a supervisor answers for the others, at some cost in time' : undefined,
      hint: isShort ? subordinateRemedy() : undefined,
    }
  } catch (error) {
    if (!isTsOciError(error)) throw error
    return { mode, isUsable: false, ids: undefined, reason: error.message, hint: error.hint }
  } finally {
    rmSync(stateDirectory, { recursive: true, force: true })
  }
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
