import { randomBytes } from 'node:crypto'
import { mkdtempSync, realpathSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { RuntimeError } from './errors.ts'
import type { Executor } from './executor/types.ts'
import type { IsolationMode } from './isolation/list.ts'
import type { NetworkName } from './network/list.ts'
import { startExecutor } from './on-demand.ts'
import { inputStream, outputStreams } from './run-streams.ts'
import type { StepControl, StepExit, StepIo, StepMount, StepResources, StepRoot, StepSpec } from './steps/types.ts'

export interface RunOptions {
  /** The command and its arguments; without a slash it is looked for along PATH, in the root. */
  readonly args: readonly string[]
  /** `NAME=VALUE`; nothing of this process goes along. Default: a PATH. HOME is filled in by the root's /etc/passwd. */
  readonly env?: readonly string[] | Readonly<Record<string, string>>
  /** Absolute, in the root; made where it is missing. Default `/`. */
  readonly cwd?: string
  /**
   * Who the caller is inside: `root`, or `own`, with the ids that it has outside. Its files belong to it either way. With `own` other
   * ids are subordinate ones, where there are some, and nothing is emulated. Root of a container cannot have it.
   */
  readonly ids?: 'root' | 'own'
  /** Ids inside. Default: root; with `ids: 'own'` the caller's own. */
  readonly user?: { readonly uid: number; readonly gid: number; readonly additionalGids?: readonly number[] }
  /** A terminal in the place of the three streams: what it shows is `stdout`. */
  readonly terminal?: boolean | TerminalSize
  /** False: standard input is empty. Default true. */
  readonly stdin?: boolean
  /** Default `default`: its own behind NAT where that can be made, else the host's less NET_RAW and NET_BIND_SERVICE. */
  readonly network?: NetworkName
  readonly mounts?: readonly StepMount[]
  /** Default: the first 12 characters of a chance id. */
  readonly hostname?: string
  readonly extraHosts?: readonly (readonly [address: string, name: string])[]
  /** `insecure`: all capabilities, all devices, no filter of system calls. */
  readonly security?: 'sandbox' | 'insecure'
  readonly rlimits?: StepSpec['rlimits']
  readonly shmSizeBytes?: number
  readonly resources?: StepResources
  /** Default `auto`. Which ids there are inside goes by it. */
  readonly isolation?: 'auto' | IsolationMode
  /** An executor of the caller, for several processes at once; it stays open. `isolation` is its own then. */
  readonly executor?: Executor
  /** Ends the process, and has `exited` reject with OCI_RUNTIME_CANCELED. */
  readonly signal?: AbortSignal
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** A process in a root of its own. It dies with this one, by `kill -9` too. */
export interface RunningProcess extends AsyncDisposable {
  /** Undefined where `stdin` is false. */
  readonly stdin: Writable | undefined
  /** Read both streams, or call their `resume()`: a process that nobody reads waits, and so does `exited`. */
  readonly stdout: Readable
  /** Ends at once where there is a terminal. */
  readonly stderr: Readable
  /**
   * Resolves when the process and all that it left are gone and the output was passed on. A command that cannot be executed is an
   * exit with `startError`. Rejects with OCI_RUNTIME_ISOLATION_UNAVAILABLE, OCI_RUNTIME_MOUNT, OCI_RUNTIME_STEP_START,
   * OCI_RUNTIME_ID_UNAVAILABLE, OCI_RUNTIME_LIMIT_UNAVAILABLE, OCI_RUNTIME_CANCELED, OCI_RUNTIME_EXECUTOR_DIED.
   */
  readonly exited: Promise<StepExit>
  /**
   * Sends a signal, SIGTERM where none is named. The command is process 1 of its namespace, as in Docker: what it has no handler
   * for does not end it, but SIGKILL does. Isolation `chroot` knows SIGKILL alone.
   * @throws OCI_RUNTIME_UNSUPPORTED, for a signal that Linux has not too
   */
  kill(signal?: NodeJS.Signals): void
  /** @throws OCI_RUNTIME_UNSUPPORTED where there is no terminal, and for a size that none can have */
  resize(size: TerminalSize): void
}

const DEFAULT_ENV = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']

const OPTIONS: Readonly<Record<keyof RunOptions, true>> = {
  args: true,
  env: true,
  cwd: true,
  ids: true,
  user: true,
  terminal: true,
  stdin: true,
  network: true,
  mounts: true,
  hostname: true,
  extraHosts: true,
  security: true,
  rlimits: true,
  shmSizeBytes: true,
  resources: true,
  isolation: true,
  executor: true,
  signal: true,
}

const IDS = { root: true, own: true } as const

const LIMITS: Readonly<Record<keyof StepResources, true>> = {
  memoryBytes: true,
  memorySwapBytes: true,
  cpuShares: true,
  cpuQuotaUs: true,
  cpuPeriodUs: true,
  cpusetCpus: true,
  cpusetMems: true,
  cgroupParent: true,
}

/**
 * Runs one process on a root file system: a directory, which it changes in place, or an overlay. Returns at once; whatever goes
 * wrong later rejects `exited`.
 * @throws OCI_RUNTIME_STEP_START where there is no such directory, OCI_RUNTIME_UNSUPPORTED for an unknown option or limit
 * @example
 * const process = run('/srv/rootfs', { args: ['/bin/echo', 'hello'] })
 * for await (const chunk of process.stdout) console.log(String(chunk))
 * const { exitCode } = await process.exited
 */
export function run(root: string | StepRoot, options: RunOptions): RunningProcess {
  const spec = specOf(root, options)
  const size = typeof options.terminal === 'object' ? checkedSize(options.terminal) : undefined
  const control = Promise.withResolvers<StepControl>()
  // Whoever waits for it hears of the failure by `exited`.
  control.promise.catch(() => undefined)
  const onControl = (act: (step: StepControl) => void): void => void control.promise.then(act, () => undefined)
  const stop = new AbortController()
  const onAbort = (): void => stop.abort(options.signal?.reason)
  if (options.signal?.aborted === true) onAbort()
  options.signal?.addEventListener('abort', onAbort, { once: true })
  const output = outputStreams(onControl)
  const { stdout, stderr } = output
  if (spec.terminal === true) stderr.push(null)
  const stdin = spec.hasInput === true || spec.terminal === true ? inputStream(control.promise) : undefined
  let isolation = options.executor?.isolation
  const io: StepIo = {
    signal: stop.signal,
    onOutput: output.push,
    onStart: (step) => {
      if (size !== undefined) step.resize(size.columns, size.rows)
      control.resolve(step)
    },
  }
  const exited = withExecutor(options, stop.signal, (executor) => {
    isolation = executor.isolation
    return executor.runStep(spec, io)
  }).finally(() => {
    options.signal?.removeEventListener('abort', onAbort)
    control.reject(new Error('the process has ended'))
    for (const stream of [stdout, stderr]) stream.push(null)
    stdin?.destroy()
  })
  exited.catch(() => undefined)
  return {
    stdin,
    stdout,
    stderr,
    exited,
    kill: (signal = 'SIGTERM') => {
      if (isolation === 'chroot' && signal !== 'SIGKILL')
        throw unsupported(`${signal} in isolation chroot`, 'SIGKILL ends it')
      const number = constants.signals[signal]
      if (number === undefined) throw unsupported(`signal ${signal}`, 'its name is one of os.constants.signals')
      onControl((step) => step.kill(number))
    },
    resize: (size) => {
      if (spec.terminal !== true) throw unsupported('to resize what is no terminal', 'give terminal: true')
      const { columns, rows } = checkedSize(size)
      onControl((step) => step.resize(columns, rows))
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      for (const stream of [stdout, stderr]) stream.resume()
      await exited.catch(() => undefined)
    },
  }
}

function specOf(root: string | StepRoot, options: RunOptions): StepSpec {
  refuseUnknown('option', options, OPTIONS)
  refuseUnknown('limit', options.resources ?? {}, LIMITS)
  if (options.ids !== undefined) refuseUnknown('value of ids', { [options.ids]: true }, IDS)
  const { args, env = DEFAULT_ENV, user = defaultUser(options.ids), terminal, stdin = true } = options
  const hostname = options.hostname ?? randomBytes(6).toString('hex')
  return {
    name: args.join(' '),
    root: typeof root === 'string' ? { kind: 'directory', path: directoryAt(root) } : root,
    mounts: options.mounts ?? [],
    process: {
      args,
      env: Array.isArray(env) ? env : Object.entries(env).map(([name, value]) => `${name}=${value}`),
      cwd: options.cwd ?? '/',
      user: { additionalGids: [], ...user },
    },
    network: options.network ?? 'default',
    hostname,
    extraHosts: options.extraHosts ?? [],
    security: options.security ?? 'sandbox',
    ...(options.rlimits && { rlimits: options.rlimits }),
    ...(options.shmSizeBytes !== undefined && { shmSizeBytes: options.shmSizeBytes }),
    ...(options.resources && { resources: options.resources }),
    ...(options.ids === 'own' ? { keepsIds: true } : {}),
    ...(terminal ? { terminal: true } : { hasInput: stdin }),
  }
}

function defaultUser(ids: RunOptions['ids']): { readonly uid: number; readonly gid: number } {
  return ids !== 'own' ? { uid: 0, gid: 0 } : { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
}

/** Programs without types misspell them, or write a limit as a config.json has it: it would be ignored, and nothing limited. */
function refuseUnknown(what: string, given: object, known: Readonly<Record<string, true>>): void {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(known, name))
  if (unknown === undefined) return
  throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `unknown ${what} ${JSON.stringify(unknown)}`, {
    hint: `known: ${Object.keys(known).join(', ')}`,
  })
}

function directoryAt(path: string): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path)
  } catch (cause) {
    throw noDirectory(path, cause)
  }
  throw noDirectory(path)
}

function noDirectory(path: string, cause?: unknown): RuntimeError {
  const why = `${path} is no directory: it cannot be the root of a process`
  return new RuntimeError('OCI_RUNTIME_STEP_START', why, { cause })
}

/** As the kernel keeps it, in 16 bits each. */
function checkedSize(size: TerminalSize): TerminalSize {
  for (const value of [size.columns, size.rows])
    if (!Number.isInteger(value) || value < 0 || value > 0xffff)
      throw unsupported(
        `a terminal of ${size.columns} columns and ${size.rows} rows`,
        'give two numbers from 0 to 65535',
      )
  return size
}

async function withExecutor<T>(
  { executor, isolation = 'auto' }: RunOptions,
  signal: AbortSignal,
  use: (executor: Executor) => Promise<T>,
): Promise<T> {
  if (executor !== undefined) return use(executor)
  const stateDirectory = mkdtempSync(join(tmpdir(), 'ts-oci-run-'))
  try {
    await using own = await startExecutor({ isolation, stateDirectory, signal })
    return await use(own)
  } finally {
    await rm(stateDirectory, { recursive: true, force: true, maxRetries: 3 })
  }
}

function unsupported(what: string, hint: string): RuntimeError {
  return new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `not possible: ${what}`, { hint })
}
