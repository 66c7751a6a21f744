import type { Executor, IsolationMode, SnapshotName } from '@ts-oci/runtime'
import type { ProgressSink } from '../base/progress.ts'
import type { RegistryClient } from '../registry/index.ts'
import type { Executions } from '../solver/executions.ts'
import type { Scheduler } from '../solver/scheduler.ts'
import type { Store } from '../store/types.ts'

/** Which store. */
export interface StoreOptions {
  /** Directory of the store; default `$TSBUILD_HOME`, else the XDG data directory. */
  readonly store?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** What every call of the public face may take: which store, and how to stop and watch it. */
export interface CommonOptions extends StoreOptions {
  readonly onProgress?: ProgressSink | undefined
  /** Shared with other calls, and left open; store, registries, isolation and `jobs` are then those of the session. */
  readonly session?: Session | undefined
}

/** How registries are reached. */
export interface RegistryOptions {
  /** Hosts (`name:port`) that may be spoken to over plain HTTP or with a certificate that does not verify, `*` for every registry; loopback needs no entry. */
  readonly insecureRegistries?: readonly string[] | undefined
  /** Auth file instead of Docker's and Podman's. */
  readonly authFile?: string | undefined
  /** Mirrors to read from first: `HOST[/PATH]` for Docker Hub, `REGISTRY=HOST[/PATH]` for another. */
  readonly mirrors?: readonly string[] | undefined
  /** File of mirrors, rewrites and blocked registries, instead of those of the machine. */
  readonly registriesConf?: string | undefined
  /** Folder with certificates for every registry: `*.crt` authorities, `NAME.cert` and `NAME.key` for this client. */
  readonly certDir?: string | undefined
  /** Certificates for one registry, before those of every folder: `HOST=AUTHORITY`, or `HOST=CERTIFICATE,KEY` for this client; paths of PEM files. */
  readonly certificates?: readonly string[] | undefined
  /** Tries after the first one; default 5. */
  readonly retries?: number | undefined
  /** The first pause between tries, milliseconds; each further one is twice as long. */
  readonly retryDelayMs?: number | undefined
}

/** How steps run, of all builds of a session. */
export interface StepOptions {
  readonly isolation?: 'auto' | IsolationMode | undefined
  /** How the file systems of steps are made of layers; default: the first kind that works on the disk of the store. */
  readonly snapshots?: 'auto' | SnapshotName | undefined
  /** Steps that run at the same time; default: eight for each core. */
  readonly jobs?: number | undefined
}

export interface SessionOptions extends StoreOptions, RegistryOptions, StepOptions {}

/** What a call holds open while it works; calls that run at once may share one. */
export interface Session extends AsyncDisposable {
  readonly store: Store
  readonly isolation: StepOptions['isolation']
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
  /** Bounds the steps of all its builds together. */
  readonly scheduler: () => Scheduler
  /** What its builds are running; undefined where no other build can join. */
  readonly executions: Executions | undefined
  /** Bytes of blobs between a call and registries, counted up for each call by itself. */
  readonly traffic: { fetchedBytes: number; sentBytes: number }
  /** Says that a call works with it until the answer is called: closing it waits for that. */
  readonly lend: () => () => void
  /** Aborted when it is closed, or the call that works with it is stopped. */
  readonly signal: AbortSignal
}
