import type { Writable } from 'node:stream'
import { noRoomError } from '../base/disk-errors.ts'
import { createJobRunner } from '../disk/job-runner.ts'
import type { LayerForms } from '../layers/types.ts'
import type { RegistryClient, RegistryClientOptions } from '../registry/index.ts'
import type { TemporaryDirectory } from '../store/types.ts'
import type { PlaceOptions, TransportContext } from '../transports/types.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { CommonOptions, RegistryOptions, Session } from './session-types.ts'
import { checkAuthFile, registryOptionsOf, sessionOf } from './session.ts'
import { createLayerFetcher } from './transfers.ts'

export interface TransportContextOptions extends CommonOptions, RegistryOptions {
  /** Bytes of an archive that is called `-`. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined
  /** Where an archive that is called `-` goes. */
  readonly stdout?: Writable | undefined
}

/** Work with transports; what the store's disk had no room for is OCI_STORE_FULL, wherever it was written. */
export async function withTransportContext<Result>(
  options: TransportContextOptions,
  report: Report,
  work: (context: OpenedContext) => Promise<Result>,
): Promise<Result> {
  await using context = createTransportContext(options, report)
  return await context.withRoom(() => work(context))
}

/** What transports work with, closed at the end of the call. The store is opened when one of them needs it. */
interface OpenedContext extends TransportContext, AsyncDisposable {
  session(): Promise<Session>
  withRoom<Result>(work: () => Promise<Result>): Promise<Result>
}

type Report = TransportContext['report']

/** A place says how its own registry is reached; what it leaves out is said by the call. */
function createTransportContext(options: TransportContextOptions, report: Report): OpenedContext {
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  const sink: ProgressSink = options.onProgress ?? (() => undefined)
  const clients = new Map<string, Promise<RegistryClient>>()
  const directories: TemporaryDirectory[] = []
  let session: Promise<Session> | undefined
  let forms: Promise<LayerForms> | undefined
  const openSession = (): Promise<Session> => (session ??= sessionOf(options))

  async function makeForms(): Promise<LayerForms> {
    const [opened, { createLayerForms }] = await Promise.all([openSession(), import('../layers/layer-forms.ts')])
    const { store, executor } = opened
    const jobs = createJobRunner({ executor, signal })
    return createLayerForms({ store, jobs, executor, fetcher: createLayerFetcher(opened, sink), signal })
  }

  function registry(place: PlaceOptions): Promise<RegistryClient> {
    const isPlain = Object.values(place).every((value) => value === undefined)
    // A session that was brought has connections and tokens.
    if (isPlain && options.session !== undefined) return options.session.registry()
    const key = JSON.stringify(place)
    const known = clients.get(key) ?? makeClient(options, place)
    clients.set(key, known)
    return known
  }

  return {
    signal,
    session: openSession,
    stdin: () => options.stdin ?? process.stdin,
    stdout: () => options.stdout ?? process.stdout,
    store: async () => (await openSession()).store,
    forms: () => (forms ??= makeForms()),
    registry,
    async temporaryDirectory(prefix) {
      const { store } = await openSession()
      const directory = await store.createTemporaryDirectory(prefix)
      directories.push(directory)
      return directory
    },
    report,
    async withRoom(work) {
      try {
        return await work()
      } catch (cause) {
        const opened = await session?.catch(() => undefined)
        throw opened === undefined ? cause : noRoomError(opened.store.root, cause)
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      for (const directory of directories) await directory[Symbol.asyncDispose]()
      for (const client of clients.values()) await (await client.catch(() => undefined))?.close()
      await (await session?.catch(() => undefined))?.[Symbol.asyncDispose]()
    },
  }
}

async function makeClient(options: RegistryOptions, place: PlaceOptions): Promise<RegistryClient> {
  const { createRegistryClient } = await import('../registry/index.ts')
  const { credentials, isTlsVerified, registry } = place
  await checkAuthFile(place.authFile ?? options.authFile)
  const insecure = [
    ...(options.insecureRegistries ?? []),
    ...(isTlsVerified === false && registry !== undefined ? [registry] : []),
  ]
  const given: RegistryClientOptions = {
    ...registryOptionsOf(options),
    insecureRegistries: insecure,
    authFile: place.authFile ?? options.authFile,
    retries: options.retries,
    retryDelayMs: options.retryDelayMs,
    ...(credentials === undefined || registry === undefined
      ? {}
      : { credentials: { [registry]: { kind: 'password', ...credentials } } }),
    ...(place.isAnonymous === true ? { environment: withoutFiles(process.env), authFile: undefined } : {}),
  }
  return createRegistryClient(given)
}

/** Proxies are as they are; no place where credentials may lie leads anywhere. */
function withoutFiles(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const nowhere = '/nonexistent'
  const places = { HOME: nowhere, DOCKER_CONFIG: nowhere, XDG_RUNTIME_DIR: nowhere, XDG_CONFIG_HOME: nowhere }
  return { ...environment, ...places, REGISTRY_AUTH_FILE: undefined }
}
