import type { Executor, OpenNetwork, StepEdits, StepExit, StepSpec } from '@ts-oci/runtime'
import { posix } from 'node:path'
import { isTsOciError, type TsOciError } from '../../base/errors.ts'
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
import { stepEnvironment } from './step-environment.ts'
import { exitError, missingSource, stepError } from './step-errors.ts'
import { touchedDirectories, withTouchedTimes } from './stubs.ts'
import { resolveUser } from './user.ts'
import type { UserFiles } from './user-files.ts'

/** What a step is run with. */
export type StepParts = MountParts & Pick<OpsEnvironment, 'allowed' | 'devices' | 'hostPlatform' | 'epochMs'>

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
 * @throws OCI_RUNTIME_ISOLATION_UNAVAILABLE and what else keeps an executor from starting
 */
export async function checkStep(environment: StepParts): Promise<void> {
  await environment.executor()
}

/** A step as its driver is asked to run it. */
export interface AskedStep {
  readonly environment: StepParts
  readonly userFiles: UserFiles
  readonly vertex: Vertex
  readonly spec: ExecSpec
  readonly inputs: readonly Result[]
  readonly run: RunContext
}

/** Runs one step and makes a layer of what it wrote. */
export async function runExec(asked: AskedStep): Promise<LayersResult> {
  const { environment, inputs, run } = asked
  const spec = withAbsoluteMounts(asked.spec)
  const rootMount = spec.mounts.find((mount) => mount.dest === '/')
  const { forms } = environment
  const chain = rootMount === undefined || rootMount.input < 0 ? [] : layersOf(forms, inputs[rootMount.input]!)
  const executor = await environment.executor()
  tellNotice(executor, run)
  // It is prepared while the trees are.
  const network = executor.openNetwork(spec.network)
  network.catch(() => {})
  const work: StepWork = { ...asked, spec, chain, executor, network }
  try {
    return await runOnce(work)
  } catch (error) {
    // Nothing of the step has run.
    if (!(await canStartAnew(error, work))) throw error
    return await runOnce(work)
  }
}

/** Whether a step that did not start may do so now: its file system is put together otherwise, or again. */
async function canStartAnew(error: unknown, { environment: { forms }, executor }: StepWork): Promise<boolean> {
  if (!isStartFailure(error) || !(await forms.usesOverlay())) return false
  // This disk, or this kernel, takes no overlay: from now on nobody is given one.
  if (isOverlayRefusal(error)) return refuseOverlay(executor)
  return error.details['errno'] === 'ENOENT' && (await forms.forgetLostTrees())
}

function isStartFailure(error: unknown): error is TsOciError {
  return isTsOciError(error) && error.code.startsWith('OCI_RUNTIME_')
}

interface StepWork extends AskedStep {
  readonly chain: readonly LayerHandle[]
  readonly executor: Executor
  readonly network: Promise<OpenNetwork>
}

async function runOnce({
  environment,
  userFiles,
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
  const user = await resolveUser(spec.meta.user, view, (entry, maxBytes) =>
    userFiles.read(entry, () => snapshot.readFile(entry, maxBytes)),
  ).catch((error: unknown) => {
    throw stepError(spec, vertex, error instanceof Error ? error.message : String(error))
  })
  const devices = await devicesOf(environment, { spec, vertex, executor, user, run })
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
    return executor.runStep(stepOf({ vertex, spec, root: snapshot.root, mounts, user, devices }), {
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
  readonly devices: StepEdits | undefined
}

/** What the step's devices bring; undefined for a step that asks for none. */
async function devicesOf(
  environment: StepParts,
  { spec, vertex, run, ...place }: Pick<StepWork, 'spec' | 'vertex' | 'executor' | 'run'> & Pick<StepWords, 'user'>,
): Promise<StepEdits | undefined> {
  const { cdiDevices } = spec
  if (cdiDevices === undefined || cdiDevices.length === 0) return undefined
  const { deviceEdits, findStepDevices } = await import('./devices.ts')
  const devices = await findStepDevices(environment.devices, vertex, cdiDevices)
  for (const name of devices.missing) run.log('stderr', Buffer.from(`Optional device "${name}" is not registered\n`))
  return deviceEdits(devices, { vertex, ...place })
}

/** The words of the runtime for a step. */
function stepOf({ vertex, spec, root, mounts, user, devices }: StepWords): StepSpec {
  const { meta } = spec
  const { name, resources } = vertex.metadata
  const rlimits = meta.ulimits?.map((limit) => ({ type: limit.name, soft: limit.soft, hard: limit.hard }))
  return {
    name,
    root,
    mounts: devices === undefined ? mounts.list : withDeviceMounts(mounts.list, devices),
    process: {
      args: meta.args,
      env: stepEnvironment(spec, { secrets: mounts.env, home: user.home, devices: devices?.env ?? [] }),
      cwd: meta.cwd || '/',
      user: devices === undefined ? user : withGroups(user, devices),
    },
    ...(devices === undefined || devices.devices.length === 0 ? {} : { devices: devices.devices }),
    network: spec.network,
    hostname: meta.hostname || DEFAULT_HOSTNAME,
    extraHosts: meta.extraHosts.map((entry) => [entry.ip, entry.host] as const),
    security: spec.security,
    ...(resources === undefined ? {} : { resources }),
    ...(rlimits === undefined ? {} : { rlimits }),
  }
}

/** What the step itself mounts in a place of a device's is there. */
function withDeviceMounts(mounts: StepSpec['mounts'], devices: StepEdits): StepSpec['mounts'] {
  const own = new Set(mounts.map(({ target }) => posix.normalize(target)))
  return [...devices.mounts.filter(({ target }) => !own.has(posix.normalize(target))), ...mounts]
}

function withGroups(user: StepWords['user'], { additionalGids }: StepEdits): StepWords['user'] {
  return { ...user, additionalGids: [...new Set([...user.additionalGids, ...additionalGids])] }
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
