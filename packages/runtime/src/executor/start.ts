import { RuntimeError } from '../errors.ts'
import { isolationsFor } from '../isolation/choose.ts'
import type { IsolationMode } from '../isolation/list.ts'
import { isRefusal } from '../isolation/types.ts'
import type { Failure, Isolation, LaunchPlan, Refusal } from '../isolation/types.ts'
import { closeFd } from '../files/open.ts'
import { connect } from './connection.ts'
import type { Connection, StartFailure } from './connection.ts'
import { createExecutor } from './executor.ts'
import { spawnLauncher } from './launcher.ts'
import type { Executor, ExecutorOptions } from './types.ts'

/**
 * Starts the process that mounts and runs steps, in the strongest isolation that the wish and the machine allow.
 * Throws OCI_RUNTIME_ISOLATION_UNAVAILABLE with the reason and remedy of each that was tried, OCI_RUNTIME_CANCELED,
 * OCI_RUNTIME_NATIVE_MISSING, OCI_RUNTIME_UNSUPPORTED.
 * @example
 * await using executor = await startExecutor({ isolation: 'auto', stateDirectory: '/run/user/1000/tsbuild' })
 */
export async function startExecutor(options: ExecutorOptions): Promise<Executor> {
  const refusals: (Refusal & { readonly mode: string })[] = []
  const failures: Failure[] = []
  for (const { name: mode, load } of isolationsFor(options.isolation)) {
    const isolation = await load()
    const passedOver = options.isolation === 'auto' ? isolation.refusedAfter?.(failures) : undefined
    if (passedOver !== undefined) {
      refusals.unshift({ mode, ...passedOver })
      continue
    }
    const started = await startIsolation(mode, isolation, options, failures)
    if (!('reason' in started)) {
      if (options.signal?.aborted) {
        await started.close()
        throw canceled(options.signal)
      }
      return started
    }
    refusals.push({ mode, ...started })
  }
  throw new RuntimeError(
    'OCI_RUNTIME_ISOLATION_UNAVAILABLE',
    `this machine cannot isolate a step: ${refusals.map(({ mode, reason }) => `${mode}: ${reason}`).join('; ')}`,
    {
      // Of the last that was tried: what was passed over is not what the machine lacks, unless it says so.
      hint: (refusals.find(({ isLeast }) => isLeast) ?? refusals.at(-1))?.remedy,
      details: { refusals },
    },
  )
}

async function startIsolation(
  mode: IsolationMode,
  isolation: Isolation,
  options: ExecutorOptions,
  failures: Failure[],
): Promise<Executor | Refusal> {
  const plans = isolation.plans()
  if (isRefusal(plans)) return plans
  let failure: StartFailure = { operation: 'start', errno: 'ENOSYS' }
  for (const plan of plans) {
    if (options.signal?.aborted) throw canceled(options.signal)
    // A user namespace has no right to the mount, and who mounts nothing no use for it.
    const image = plan.idMapping.kind === 'identity' && isolation.roots !== 'directory' ? options.image : undefined
    const result = await startPlan(plan, options, image)
    if ('launcher' in result)
      return createExecutor(
        result,
        { mode, isolation, idMapping: plan.idMapping, image: image?.name },
        options.jobLimits,
      )
    failure = result
    // Only a failure to map ids can go better with another map.
    if (!/newuidmap|newgidmap|uid_map|gid_map/.test(result.operation)) break
  }
  failures.push(failure)
  return isolation.explain(failure.operation, failure.errno)
}

async function startPlan(
  plan: LaunchPlan,
  options: ExecutorOptions,
  image: ExecutorOptions['image'],
): Promise<Connection | StartFailure> {
  if (image === undefined) return connect(await spawnLauncher(options.stateDirectory, plan.map))
  const fd = image.mountAgain()
  try {
    return await connect(await spawnLauncher(options.stateDirectory, plan.map, { fd, at: image.at }))
  } finally {
    closeFd(fd)
  }
}

function canceled(signal: AbortSignal): RuntimeError {
  return new RuntimeError('OCI_RUNTIME_CANCELED', 'canceled before the executor had started', { cause: signal.reason })
}
