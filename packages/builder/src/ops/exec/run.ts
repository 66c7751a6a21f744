import { statfsSync } from 'node:fs'
import type { Executor, OpenNetwork, StepExit, StepMount } from '@ts-oci/runtime'
import { BuilderError, isTsOciError } from '../../base/errors.ts'
import { isOverlayRefusal, refuseOverlay } from '../../layers/snapshot-kind.ts'
import type { LayerHandle } from '../../layers/types.ts'
import type { Vertex } from '../../graph/types.ts'
import { quote } from '../../base/text.ts'
import type { OpsEnvironment } from '../environment.ts'
import { layersOf } from '../context-layer.ts'
import type { Platform } from '../../oci/types.ts'
import type { ExecSpec } from '../../graph/op-specs.ts'
import type { LayersResult, Result, RunContext } from '../../solver/types.ts'
import { withAbsoluteMounts, withMounts, type MountParts } from './mounts.ts'
import { openSnapshot } from './snapshot.ts'
import { touchedDirectories, withTouchedTimes } from './stubs.ts'
import { resolveUser } from './user.ts'

/** What a step is run with. */
export type StepParts = MountParts & Pick<OpsEnvironment, 'allowed' | 'hostPlatform' | 'epochMs'>

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** BuildKit's name for the host that a step sees. */
const DEFAULT_HOSTNAME = 'buildkitsandbox'

const told = new WeakSet<object>()

/** What there is to say of the isolation and of the network comes once, before the first line of a step. */
function tellNotice(of: { readonly notice?: string }, run: Pick<RunContext, 'log'>): void {
  if (of.notice === undefined || told.has(of)) return
  told.add(of)
  run.log('stderr', Buffer.from(`${of.notice}\n`))
}

/**
 * Refuses a step that cannot run here, before anything is made for it.
 * @throws OCI_STEP_UNSUPPORTED, OCI_RUNTIME_ISOLATION_UNAVAILABLE and what else keeps an executor from starting
 */
export async function checkStep(environment: StepParts, vertex: Vertex, spec: ExecSpec): Promise<void> {
  refuseUnsupported(environment, vertex, spec)
  await environment.executor()
}

/** Runs one step and makes a layer of what it wrote. */
export async function runExec(
  environment: StepParts,
  vertex: Vertex,
  written: ExecSpec,
  inputs: readonly Result[],
  run: RunContext,
): Promise<LayersResult> {
  const spec = withAbsoluteMounts(written)
  const rootMount = spec.mounts.find((mount) => mount.dest === '/')
  const { forms } = environment
  const chain = rootMount === undefined || rootMount.input < 0 ? [] : layersOf(forms, inputs[rootMount.input]!)
  const executor = await environment.executor()
  tellNotice(executor, run)
  // It is prepared while the trees are.
  const network = executor.openNetwork(spec.network)
  network.catch(() => {})
  const work: StepWork = { environment, vertex, spec, inputs, run, chain, executor, network }
  try {
    return await runOnce(work)
  } catch (error) {
    // Nothing of the step has run. This disk, or this kernel, takes no overlay: from now on nobody is given one.
    if (!isOverlayRefusal(error) || !(await forms.usesOverlay()) || !refuseOverlay(executor)) throw error
    return await runOnce(work)
  }
}

interface StepWork {
  readonly environment: StepParts
  readonly vertex: Vertex
  readonly spec: ExecSpec
  readonly inputs: readonly Result[]
  readonly run: RunContext
  readonly chain: readonly LayerHandle[]
  readonly executor: Executor
  readonly network: Promise<OpenNetwork>
}

async function runOnce({
  environment,
  vertex,
  spec,
  inputs,
  run,
  chain,
  executor,
  network,
}: StepWork): Promise<LayersResult> {
  const { store, forms } = environment
  // The trees first: making them may make the tables.
  await using snapshot = await openSnapshot(environment, executor, chain)
  const view = await forms.view(chain)
  const foreign = foreignPlatform(environment, vertex)
  if (foreign !== undefined) {
    const { refuseForeign } = await import('./foreign.ts')
    const { location } = vertex.metadata
    refuseForeign({ platform: foreign, host: environment.hostPlatform, view, location })
  }
  const user = await resolveUser(spec.meta.user, view, (entry, maxBytes) => snapshot.readFile(entry, maxBytes)).catch(
    (error: unknown) => {
      throw stepError(spec, vertex, error instanceof Error ? error.message : String(error))
    },
  )
  const output = createTail()
  tellNotice(await network, run)
  let startedMs = Date.now()
  const exit = await withMounts(environment, spec, inputs, snapshot.temporary, run, (mounts) => {
    startedMs = Date.now()
    return executor.runStep(
      {
        name: vertex.metadata.name,
        root: snapshot.root,
        mounts: mounts.list satisfies readonly StepMount[],
        process: {
          args: spec.meta.args,
          env: stepEnvironment(spec, mounts.env, user.home),
          cwd: spec.meta.cwd || '/',
          user,
        },
        network: spec.network,
        hostname: spec.meta.hostname || DEFAULT_HOSTNAME,
        extraHosts: spec.meta.extraHosts.map((entry) => [entry.ip, entry.host] as const),
        security: spec.security,
        ...(vertex.metadata.resources === undefined ? {} : { resources: vertex.metadata.resources }),
        ...(spec.meta.ulimits === undefined
          ? {}
          : { rlimits: spec.meta.ulimits.map((limit) => ({ type: limit.name, soft: limit.soft, hard: limit.hard })) }),
      },
      {
        signal: run.signal,
        onOutput: (stream, chunk) => {
          output.add(chunk)
          run.log(stream, chunk)
        },
      },
    )
  }).catch((error: unknown) => {
    throw missingSource(spec, vertex, error)
  })
  run.signal.throwIfAborted()
  if (exit.startError !== undefined || !(spec.meta.validExitCodes ?? [0]).includes(exit.exitCode))
    throw exitError(spec, vertex, exit, {
      tail: output.text(),
      storeRoot: store.root,
      hint: await foreignStartHint(environment, foreign, exit),
    })
  const layer = await snapshot.commit(
    {
      createdMs: environment.epochMs ?? Date.now(),
      // BuildKit's words: they are the history of a step on an image that brings none.
      description: `mount / from exec ${spec.meta.args.join(' ')}`,
    },
    (changes) => {
      const targets = spec.mounts.map((mount) => mount.dest)
      return withTouchedTimes(changes, touchedDirectories(view, targets), view, startedMs)
    },
  )
  return { kind: 'layers', layers: [...chain, layer] }
}

/** The platform of a step that is not of this machine. */
function foreignPlatform({ hostPlatform }: StepParts, { platform }: Vertex): Platform | undefined {
  if (platform === undefined) return undefined
  return platform.os === hostPlatform.os && platform.architecture === hostPlatform.architecture ? undefined : platform
}

async function foreignStartHint(
  { hostPlatform }: StepParts,
  foreign: Platform | undefined,
  { startError, signal }: StepExit,
): Promise<string | undefined> {
  if (foreign === undefined) return undefined
  if (signal === 'SIGSYS') return 'isolation chroot ends programs of 32 bits: choose another, see `tsbuild info`'
  if (startError?.errno !== 'ENOEXEC') return undefined
  return (await import('./foreign.ts')).foreignHint(foreign, hostPlatform)
}

function refuseUnsupported(environment: StepParts, vertex: Vertex, spec: ExecSpec): void {
  if (spec.network === 'host' && !environment.allowed.has('network.host')) {
    throw new BuilderError('OCI_STEP_UNSUPPORTED', 'failed to load LLB: network.host is not allowed', {
      ...location(vertex),
      hint: 'give --allow network.host, or --network=host for all steps',
    })
  }
  if (spec.security === 'insecure' && !environment.allowed.has('security.insecure')) {
    throw new BuilderError('OCI_STEP_UNSUPPORTED', 'failed to load LLB: security.insecure is not allowed', {
      ...location(vertex),
      hint: 'give --allow security.insecure',
    })
  }
  if (spec.cdiDevices !== undefined && spec.cdiDevices.length > 0) {
    throw new BuilderError(
      'OCI_STEP_UNSUPPORTED',
      'device feature is only supported in Dockerfile frontend 1.14.0-labs or later',
      { ...location(vertex), hint: 'RUN --device (CDI devices) is not supported' },
    )
  }
}

/** PATH and HOME are filled in as BuildKit and runc do; proxies come after the image's own variables. */
function stepEnvironment(spec: ExecSpec, secrets: readonly string[], home: string): readonly string[] {
  // As runc, which fills in HOME where it is empty too.
  const env = spec.meta.env.filter((entry) => entry !== 'HOME=')
  if (env.some((entry) => entry === '' || entry.startsWith('=')))
    throw new BuilderError('OCI_STEP_FAILED', 'invalid environment variable: name cannot be empty', {
      hint: 'the config of the base image has such an entry in Env',
    })
  const add = (name: string, value: string): void => {
    if (!env.some((entry) => entry.startsWith(`${name}=`))) env.push(`${name}=${value}`)
  }
  const proxies = spec.meta.proxyEnv
  if (proxies) {
    for (const [name, value] of [
      ['HTTP_PROXY', proxies.httpProxy],
      ['HTTPS_PROXY', proxies.httpsProxy],
      ['FTP_PROXY', proxies.ftpProxy],
      ['NO_PROXY', proxies.noProxy],
      ['ALL_PROXY', proxies.allProxy],
    ] as const) {
      if (value === '') continue
      add(name, value)
      add(name.toLowerCase(), value)
    }
  }
  env.push(...secrets)
  add('PATH', DEFAULT_PATH)
  add('HOME', home)
  return env
}

function exitError(
  spec: ExecSpec,
  vertex: Vertex,
  exit: StepExit,
  facts: { readonly tail: string; readonly storeRoot: string; readonly hint: string | undefined },
): BuilderError {
  const { tail } = facts
  const hint = facts.hint ?? fullDiskHint(facts.storeRoot, tail)
  if (exit.startError !== undefined) {
    const { operation, errno, message } = exit.startError
    const noShell = exit.exitCode === 127 ? missingShellHint(spec) : undefined
    return stepError(
      spec,
      vertex,
      exit.exitCode === 127 || exit.exitCode === 126
        ? `exit code: ${exit.exitCode}: ${message}`
        : `${operation}: ${message} (${errno})`,
      { details: { exitCode: exit.exitCode, operation, errno, output: tail }, hint: hint ?? noShell },
    )
  }
  const how = exit.signal === undefined ? `exit code: ${exit.exitCode}` : `exit code: ${exit.exitCode} (${exit.signal})`
  if (!exit.oomKilled)
    return stepError(spec, vertex, how, {
      details: { exitCode: exit.exitCode, signal: exit.signal, output: tail },
      hint,
    })
  // BuildKit's words.
  return stepError(spec, vertex, 'cannot allocate memory', {
    details: { exitCode: exit.exitCode, signal: exit.signal, oomKilled: true, output: tail },
    hint: memoryHint(vertex.metadata.resources?.memoryBytes, how),
  })
}

function memoryHint(limitBytes: number | undefined, how: string): string {
  const killed = `the kernel killed a process of it (${how})`
  return limitBytes === undefined
    ? `${killed}, as memory was out where tsbuild runs: give the machine or the container more, or run fewer steps at once (--jobs)`
    : `${killed}, as it took more than its limit of ${limitBytes} bytes: raise --memory`
}

/** `FROM scratch` and images without a distribution have no shell, and the shell form of RUN needs one. */
function missingShellHint({ meta: { args } }: ExecSpec): string | undefined {
  const [shell, option] = args
  if (shell !== '/bin/sh' || option !== '-c') return undefined
  return 'the image has no /bin/sh, or not what it needs: RUN ["/PROGRAM", "ARGUMENT"] starts a program without one'
}

/** Less than this is full, whatever a program calls it; with a program's word for it, less than that. */
const FULL_BYTES = 1024 * 1024
const NEARLY_FULL_BYTES = 16 * 1024 * 1024

/** A step that found no room, on the disk of the store: what it wrote is still there when this is asked. */
function fullDiskHint(storeRoot: string, tail: string): string | undefined {
  const { bavail, bsize } = statfsSync(storeRoot)
  const isSaid = /no space left on device|disk quota exceeded/i.test(tail)
  if (bavail * bsize >= (isSaid ? NEARLY_FULL_BYTES : FULL_BYTES)) return undefined
  return `no space left for the store at ${storeRoot}: free some (\`tsbuild prune -a\` empties the build cache), or set TSBUILD_HOME to a larger disk`
}

function stepError(
  spec: ExecSpec,
  vertex: Vertex,
  why: string,
  options: { readonly details?: Readonly<Record<string, unknown>>; readonly hint?: string | undefined } = {},
): BuilderError {
  return new BuilderError(
    'OCI_STEP_FAILED',
    `process ${quote(spec.meta.args.join(' '))} did not complete successfully: ${why}`,
    { ...location(vertex), hint: options.hint, details: { vertex: vertex.metadata.name, ...options.details } },
  )
}

/** A mount of something that its source does not have, in the words of who runs steps for BuildKit. */
function missingSource(spec: ExecSpec, vertex: Vertex, error: unknown): unknown {
  const missing = isTsOciError(error) ? error.details['missingSource'] : undefined
  if (typeof missing === 'string') return stepError(spec, vertex, `open ${missing}: no such file or directory`)
  if (!isTsOciError(error) || error.code !== 'OCI_RUNTIME_MOUNT' || error.details['errno'] !== 'ENOENT') return error
  const source = /^mount .*: source (.*)$/s.exec(String(error.details['operation']))?.[1]
  return source === undefined ? error : stepError(spec, vertex, `open ${source}: no such file or directory`)
}

function location(vertex: Vertex): { readonly location?: NonNullable<Vertex['metadata']['location']> } {
  return vertex.metadata.location === undefined ? {} : { location: vertex.metadata.location }
}

/** Keeps the last output for the error, as much as a person reads. */
function createTail(): { add(chunk: Uint8Array): void; text(): string } {
  const limit = 8 * 1024
  let kept = Buffer.alloc(0)
  return {
    add: (chunk) => {
      kept = Buffer.concat([kept, chunk])
      if (kept.length > 2 * limit) kept = kept.subarray(kept.length - limit)
    },
    text: () => kept.subarray(-limit).toString('utf8'),
  }
}
