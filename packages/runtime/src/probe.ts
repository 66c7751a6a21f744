import { mkdirSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { isTsOciError } from './errors.ts'
import { startExecutor } from './executor/start.ts'
import type { Executor } from './executor/types.ts'
import { isolations, type IsolationMode } from './isolation/list.ts'
import { subordinateRemedy } from './isolation/subordinate-ids.ts'
import type { IdMapping } from './isolation/types.ts'
import { prepareOverlay } from './steps/overlay.ts'
import type { StepSpec } from './steps/types.ts'

/** What this machine can do, found by trying. */
export interface MachineReport {
  readonly kernel: string
  readonly isolations: readonly {
    readonly mode: IsolationMode
    readonly available: boolean
    readonly idMapping?: IdMapping['kind']
    readonly reason?: string
    readonly remedy?: string
  }[]
  readonly chosen?: IsolationMode
  readonly features: readonly { readonly name: string; readonly available: boolean; readonly remedy?: string }[]
}

type IsolationReport = MachineReport['isolations'][number]

/**
 * Finds out what this machine can do by doing it: each isolation sets up a whole step, up to the exec of a command
 * that does not exist. Takes 10 to 30 ms.
 * @param options.directory where to try (overlay depends on the file system); the store's, else the temporary one
 */
export async function probeMachine(options: { readonly directory?: string } = {}): Promise<MachineReport> {
  const directory = mkdtempSync(join(options.directory ?? tmpdir(), 'ts-oci-probe-'))
  try {
    const reports: IsolationReport[] = []
    for (const { name: mode } of isolations) reports.push(await probeIsolation(mode, join(directory, mode)))
    const rootless = reports.find(({ mode }) => mode === 'rootless')
    const hasNetworks = reports.some(({ available }) => available)
    const hasIds = rootless?.idMapping === 'subordinate' || rootless?.idMapping === 'shifted'
    const chosen = reports.find(({ available }) => available)?.mode
    return {
      kernel: release(),
      isolations: reports,
      ...(chosen === undefined ? {} : { chosen }),
      features: [
        {
          name: 'steps (RUN)',
          available: chosen !== undefined,
          ...(chosen === undefined && rootless?.remedy !== undefined ? { remedy: rootless.remedy } : {}),
        },
        { name: 'network none', available: hasNetworks },
        {
          name: 'other users in rootless steps',
          available: hasIds,
          ...(hasIds ? {} : { remedy: subordinateRemedy() }),
        },
      ],
    }
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function probeIsolation(mode: IsolationReport['mode'], directory: string): Promise<IsolationReport> {
  mkdirSync(directory, { mode: 0o700 })
  mkdirSync(join(directory, 'lower'))
  let executor: Executor | undefined
  try {
    executor = await startExecutor({ isolation: mode, stateDirectory: directory })
    const { startError } = await executor.runStep(probeStep(directory, executor.roots), { onOutput: () => {} })
    const idMapping = executor.idMapping.kind
    if (startError?.operation.startsWith('exec ')) return { mode, available: true, idMapping }
    return { mode, available: false, idMapping, reason: startError?.message ?? 'a step did not start' }
  } catch (error) {
    if (!isTsOciError(error)) throw error
    return {
      mode,
      available: false,
      reason: reasonOf(error.message, mode),
      ...(error.hint === undefined ? {} : { remedy: error.hint }),
    }
  } finally {
    await executor?.close()
  }
}

/** Without the words that say which of the tries failed. */
function reasonOf(message: string, mode: string): string {
  return message.replace(/^.*?: /, '').replace(`${mode}: `, '')
}

function probeStep(directory: string, roots: Executor['roots']): StepSpec {
  return {
    name: 'probe',
    root:
      roots === 'directory'
        ? { kind: 'directory', path: join(directory, 'lower') }
        : prepareOverlay(directory, [join(directory, 'lower')]),
    mounts: [],
    process: { args: ['/no-command'], env: [], cwd: '/', user: { uid: 0, gid: 0, additionalGids: [] } },
    network: 'none',
    hostname: 'probe',
    extraHosts: [],
    security: 'sandbox',
  }
}
