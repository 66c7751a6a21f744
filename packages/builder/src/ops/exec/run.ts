import type { Executor, OpenNetwork, StepExit, StepSpec } from '@ts-oci/runtime'
import { BuilderError } from '../../base/errors.ts'
import { isOverlayRefusal, refuseOverlay } from '../../layers/snapshot-kind.ts'
import type { LayerHandle } from '../../layers/types.ts'
import type { Vertex } from '../../graph/types.ts'
import type { OpsEnvironment } from '../environment.ts'
import { layersOf } from '../context-layer.ts'
import type { Platform } from '../../oci/types.ts'
import type { ExecSpec } from '../../graph/op-specs.ts'
import type { LayersResult, Result, RunContext } from '../../solver/types.ts'
import { withAbsoluteMounts, withMounts, type MountParts, type PreparedMounts } from './mounts.ts'
import { openSnapshot } from './snapshot.ts'
import { exitError, location, missingSource, stepError } from './step-errors.ts'
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
  const mounting = { environment, spec, inputs, temporary: snapshot.temporary, run }
  const exit = await withMounts(mounting, (mounts) => {
    startedMs = Date.now()
    const onOutput: StepOutput = (stream, chunk) => {
      output.add(chunk)
      run.log(stream, chunk)
    }
    return executor.runStep(stepOf({ vertex, spec, root: snapshot.root, mounts, user }), {
      signal: run.signal,
      onOutput,
    })
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

type StepOutput = NonNullable<Parameters<Executor['runStep']>[1]>['onOutput']

interface StepWords {
  readonly vertex: Vertex
  readonly spec: ExecSpec
  readonly root: StepSpec['root']
  readonly mounts: PreparedMounts
  readonly user: Awaited<ReturnType<typeof resolveUser>>
}

/** The words of the runtime for a step. */
function stepOf({ vertex, spec, root, mounts, user }: StepWords): StepSpec {
  const { meta } = spec
  const { name, resources } = vertex.metadata
  const rlimits = meta.ulimits?.map((limit) => ({ type: limit.name, soft: limit.soft, hard: limit.hard }))
  return {
    name,
    root,
    mounts: mounts.list,
    process: {
      args: meta.args,
      env: stepEnvironment(spec, mounts.env, user.home),
      cwd: meta.cwd || '/',
      user,
    },
    network: spec.network,
    hostname: meta.hostname || DEFAULT_HOSTNAME,
    extraHosts: meta.extraHosts.map((entry) => [entry.ip, entry.host] as const),
    security: spec.security,
    ...(resources === undefined ? {} : { resources }),
    ...(rlimits === undefined ? {} : { rlimits }),
  }
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
