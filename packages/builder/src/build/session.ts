import type { Executor, IsolationMode, JobLimits } from '@ts-oci/runtime'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { storePaths } from '../store/paths.ts'
import { openStore } from '../store/store.ts'
import type { Store } from '../store/types.ts'
import type { CommonOptions, RegistryOptions } from './public-types.ts'
import type { RegistryClient } from '../registry/index.ts'

/** What every call of the public face holds open while it works. */
export interface Session extends AsyncDisposable {
  readonly store: Store
  /** Made when a registry is first asked: a build that is all cached loads no HTTP client. */
  readonly registry: () => Promise<RegistryClient>
  /** A client for single questions that must cost little: it loads no HTTP client of its own, and waits for seconds only. */
  readonly prober: () => Promise<RegistryClient>
  /** Started when something first needs mounts or foreign owners. */
  readonly executor: () => Promise<Executor>
  /** Directories of build contexts, which the executor's process for file jobs may read. */
  readonly contexts: Set<string>
  /** Those of them that were known when it started. */
  readonly grantedContexts: () => ReadonlySet<string>
  readonly signal: AbortSignal
  /** Bytes of blobs between this call and registries, counted up. */
  readonly traffic: { fetchedBytes: number; sentBytes: number }
}

/** @throws OCI_STORE_UNUSABLE, OCI_STORE_VERSION */
export async function openSession(
  options: CommonOptions & RegistryOptions & { readonly isolation?: 'auto' | IsolationMode | undefined },
): Promise<Session> {
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  const contexts = new Set<string>()
  let grantedContexts: ReadonlySet<string> = new Set()
  const jobLimits = (): JobLimits => {
    grantedContexts = new Set(contexts)
    return jobLimitsOf(store.root, grantedContexts)
  }
  let registry: Promise<RegistryClient> | undefined
  let prober: Promise<RegistryClient> | undefined
  let executor: Promise<Executor> | undefined
  const getExecutor = (): Promise<Executor> => {
    executor ??= (async () => {
      const stateDirectory = join(store.root, 'run', 'executor')
      mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
      const { startExecutor } = await import('@ts-oci/runtime')
      return startExecutor({ isolation: options.isolation ?? 'auto', stateDirectory, jobLimits, signal })
    })()
    executor.catch(() => (executor = undefined))
    return executor
  }
  const store: Store = await openStore({
    root: options.store,
    // Files of foreign owners: the executor removes them itself, with no process for file jobs.
    removeTree: async (path) => (await getExecutor()).removeTrees([path]),
  })
  return {
    store,
    signal,
    traffic: { fetchedBytes: 0, sentBytes: 0 },
    executor: getExecutor,
    contexts,
    grantedContexts: () => grantedContexts,
    prober: () =>
      (prober ??= import('../registry/prober.ts').then(({ createProber }) =>
        createProber({ insecureRegistries: options.insecureRegistries, authFile: options.authFile }),
      )),
    registry: () =>
      (registry ??= import('../registry/index.ts').then(({ createRegistryClient }) =>
        createRegistryClient({
          insecureRegistries: options.insecureRegistries,
          authFile: options.authFile,
          retries: options.retries,
        }),
      )),
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await (await executor?.catch(() => undefined))?.close()
      await (await prober?.catch(() => undefined))?.[Symbol.asyncDispose]()
      await (await registry?.catch(() => undefined))?.[Symbol.asyncDispose]()
      await store.close()
    },
  }
}

/**
 * As another user than root, the process for file jobs may read what the user may: files that belong to him alone. Its
 * writes go to trees and temporary names either way: not to blobs, tables and rows, which are this process's.
 */
function jobLimitsOf(root: string, contexts: ReadonlySet<string>): JobLimits {
  const { tmp, snapshots, cacheMounts } = storePaths(root)
  return {
    base: root,
    writable: [tmp, snapshots, cacheMounts],
    readable: process.getuid?.() === 0 ? [root, ...contexts] : ['/'],
  }
}
