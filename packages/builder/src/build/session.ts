import type { Executor, JobLimits } from '@ts-oci/runtime'
import { existsSync, mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import { createExecutions } from '../solver/executions.ts'
import { createScheduler, type Scheduler } from '../solver/scheduler.ts'
import { storePaths } from '../store/paths.ts'
import { openStore } from '../store/store.ts'
import type { Store } from '../store/types.ts'
import type { RegistryClient } from '../registry/index.ts'
import type { CommonOptions, RegistryOptions, Session, SessionOptions } from './session-types.ts'

/** Steps mostly wait (for sleep, network, a compiler of another step): more of them than cores keep the cores busy. */
const STEPS_PER_CORE = 8

/** What belongs to a session as a whole, so that a call which brings one cannot say it. */
const OF_THE_SESSION = [
  'store',
  'isolation',
  'snapshots',
  'jobs',
  'insecureRegistries',
  'authFile',
  'mirrors',
  'registriesConf',
  'certDir',
  'certificates',
  'retries',
  'retryDelayMs',
] as const

/** The session of a call: the one that was brought, which stays open, or one of its own. @throws as {@link openSession}; OCI_OPTION_INVALID */
export async function sessionOf(options: SessionOptions & Pick<CommonOptions, 'session'>): Promise<Session> {
  const { session, signal } = options
  if (session === undefined) return openSession(options, { isShared: false })
  const given = OF_THE_SESSION.find((name) => options[name] !== undefined)
  if (given !== undefined)
    throw new BuilderError('OCI_OPTION_INVALID', `${given} cannot be given beside session`, {
      hint: `it counts for all calls of a session: openSession({ ${given}: … })`,
    })
  if (session.signal.aborted) throw new BuilderError('OCI_CANCELED', 'the session is closed')
  const giveBack = session.lend()
  return {
    ...session,
    traffic: { fetchedBytes: 0, sentBytes: 0 },
    signal: signal === undefined ? session.signal : AbortSignal.any([session.signal, signal]),
    [Symbol.asyncDispose]: async () => giveBack(),
  }
}

/**
 * @param sharing whether several builds may run in it at once: each then keeps what its steps write, for those who join
 * @throws OCI_STORE_UNUSABLE, OCI_STORE_VERSION, OCI_CREDENTIALS
 */
export async function openSession(options: SessionOptions, sharing: { readonly isShared: boolean }): Promise<Session> {
  await checkAuthFile(options.authFile)
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  /** The calls that are at work. */
  const lent = new Set<Promise<void>>()
  const contexts = new Set<string>()
  let grantedContexts: ReadonlySet<string> = new Set()
  const jobLimits = (): JobLimits => {
    grantedContexts = new Set(contexts)
    return jobLimitsOf(store.root, seesOwners && sharing.isShared ? undefined : grantedContexts)
  }
  // Where files have other owners outside, only that process can do what has to do with them: also for contexts to come.
  let seesOwners = false
  let registry: Promise<RegistryClient> | undefined
  let prober: Promise<RegistryClient> | undefined
  let executor: Promise<Executor> | undefined
  const getExecutor = (): Promise<Executor> => {
    executor ??= (async () => {
      const stateDirectory = join(store.root, 'run', 'executor')
      mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
      const { startExecutor } = await import('@ts-oci/runtime')
      const { noteSnapshots, snapshotsFor } = await import('../layers/snapshot-kind.ts')
      const chosen = await snapshotsFor(store.root, options, signal)
      const { image } = chosen
      if (image !== undefined) store.adoptImage(image)
      const isolation = options.isolation ?? 'auto'
      const started = await startExecutor({ isolation, stateDirectory, jobLimits, image, signal })
      await orClose(started, () => noteSnapshots(started, chosen, options))
      seesOwners = started.idMapping.kind === 'shifted'
      return started
    })()
    executor.catch(() => (executor = undefined))
    return executor
  }
  const store: Store = await openStore({
    root: options.store,
    // Files of foreign owners: the executor removes them itself, with no process for file jobs.
    removeTree: async (path) => (await getExecutor()).removeTrees([path]),
    isShared: () => lent.size > 1,
  })
  let scheduler: Scheduler | undefined
  return {
    store,
    signal,
    isolation: options.isolation,
    traffic: { fetchedBytes: 0, sentBytes: 0 },
    scheduler: () => (scheduler ??= createScheduler(options.jobs ?? availableParallelism() * STEPS_PER_CORE)),
    executions: sharing.isShared ? createExecutions() : undefined,
    executor: getExecutor,
    contexts,
    grantedContexts: () => grantedContexts,
    prober: () =>
      (prober ??= import('../registry/prober.ts').then(({ createProber }) => createProber(registryOptionsOf(options)))),
    registry: () =>
      (registry ??= import('../registry/index.ts').then(({ createRegistryClient }) =>
        createRegistryClient({
          ...registryOptionsOf(options),
          retries: options.retries,
          retryDelayMs: options.retryDelayMs,
        }),
      )),
    lend: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      lent.add(promise)
      return () => {
        lent.delete(promise)
        resolve()
      }
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await Promise.all(lent)
      await (await executor?.catch(() => undefined))?.close()
      await (await prober?.catch(() => undefined))?.[Symbol.asyncDispose]()
      await (await registry?.catch(() => undefined))?.[Symbol.asyncDispose]()
      await store.close()
    },
  }
}

/** What of a call says how registries are reached. */
export function registryOptionsOf({
  insecureRegistries,
  authFile,
  mirrors,
  registriesConf,
  certDir,
  certificates,
}: SessionOptions): Omit<RegistryOptions, 'retries'> {
  return { insecureRegistries, authFile, mirrors, registriesConf, certDir, certificates }
}

async function orClose(executor: Executor, check: () => void): Promise<void> {
  try {
    check()
  } catch (error) {
    await executor.close()
    throw error
  }
}

/** A name with a slip would else be noticed on the day on which a registry first asks. @throws OCI_CREDENTIALS */
export async function checkAuthFile(path: string | undefined): Promise<void> {
  if (path === undefined || existsSync(path)) return
  const { noAuthFile } = await import('../registry/auth-files.ts')
  throw noAuthFile(path)
}

/**
 * Without contexts, and as another user than root, the process for file jobs may read what the user may: files that belong to him alone. Its
 * writes go to trees and temporary names either way: not to blobs, tables and rows, which are this process's.
 */
function jobLimitsOf(root: string, contexts: ReadonlySet<string> | undefined): JobLimits {
  const { tmp, snapshots, cacheMounts, image } = storePaths(root)
  return {
    base: root,
    writable: [tmp, snapshots, cacheMounts, join(image, 'at')],
    readable: process.getuid?.() === 0 && contexts !== undefined ? [root, ...contexts] : ['/'],
  }
}
