import { errnoName, errnoText } from '../errno.ts'
import { RuntimeError } from '../errors.ts'
import { findProgram } from '../find-program.ts'
import type { IsolationMode } from '../isolation/list.ts'
import type { IdMapping, Isolation } from '../isolation/types.ts'
import { loadNetwork } from '../network/choose.ts'
import type { Network, NetworkOffer } from '../network/types.ts'
import { createFieldWriter, fieldTags, frameTypes } from '../protocol.ts'
import type { Frame } from '../protocol.ts'
import { readExit } from '../steps/exit.ts'
import { checkDevices } from '../steps/devices.ts'
import { keptIds, outsideUser } from '../steps/kept-ids.ts'
import { mapUser } from '../steps/map-user.ts'
import { controlStep } from './control-step.ts'
import { encodeStep, killPayload } from '../steps/request.ts'
import type { ProcessSpec, StepExit, StepIo, StepSpec } from '../steps/types.ts'
import type { Connection } from './connection.ts'
import { createJobRunner } from './jobs.ts'
import { openTreeStream } from './tree-stream.ts'
import type { Executor, JobLimits } from './types.ts'

/** What an executor was started with. */
export interface RunningIsolation {
  readonly mode: IsolationMode
  readonly isolation: Isolation
  readonly idMapping: IdMapping
  readonly image?: string | undefined
}

/** The face of a running executor. */
export function createExecutor(
  connection: Connection,
  { mode, isolation, idMapping, image }: RunningIsolation,
  jobLimits: (() => JobLimits) | undefined,
): Executor {
  const jobs = createJobRunner(connection, idMapping.kind, jobLimits)
  const close = async (): Promise<void> => {
    jobs.close()
    await connection.close()
  }
  const openNetwork = createNetworks(connection)
  const removeTrees = (paths: readonly string[]): Promise<void> => removeInExecutor(connection, paths)
  return {
    isolation: mode,
    ...(isolation.notice === undefined ? {} : { notice: isolation.notice() }),
    idMapping,
    overlayXattr: isolation.overlayXattr,
    roots: isolation.roots ?? 'any',
    ...(image === undefined ? {} : { image }),
    openNetwork,
    runStep: async (step, io) => {
      const own = keptIds(idMapping, step)
      const map = (ids: ProcessSpec['user'], what: string): ProcessSpec['user'] =>
        own === undefined ? mapUser(idMapping, ids, what) : outsideUser(idMapping, own, ids, what)
      const user = map(step.process.user, step.name)
      const mounts = step.mounts.map((mount) => {
        const { source } = mount
        if (source.kind !== 'secret') return mount
        const { uid, gid } = map({ uid: source.uid, gid: source.gid, additionalGids: [] }, `${step.name}: secret`)
        return { ...mount, source: { ...source, uid, gid } }
      })
      if (step.devices !== undefined) checkDevices(step.devices, { idMapping, isolation: mode }, step.name)
      const request = encodeStep(
        { ...step, mounts, process: { ...step.process, user } },
        await openNetwork(step.network),
        own,
      )
      return runInExecutor(connection, step, request, io, isolation)
    },
    runJob: (moduleUrl, name, input, signal) => jobs.run(moduleUrl, name, input, signal),
    writeTree: (directory) => openTreeStream(connection, directory),
    removeTrees,
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function runInExecutor(
  connection: Connection,
  step: StepSpec,
  payload: Buffer,
  io: StepIo,
  isolation: Isolation,
): Promise<StepExit> {
  const { signal } = io
  if (signal?.aborted) throw canceled(step, signal)
  const request = connection.request(
    frameTypes.runStep,
    payload,
    ({ type }) => type === frameTypes.exit,
    (frame) => {
      passOutput(frame, io)
      control?.onFrame(frame)
    },
  )
  const control = io.onStart && controlStep(connection, request.id)
  const kill = (): void => connection.send(frameTypes.signal, request.id, killPayload())
  signal?.addEventListener('abort', kill, { once: true })
  try {
    if (control !== undefined) io.onStart?.(control)
    const { payload: exit } = await request.answer
    await removeScratch(connection, step)
    // The kill may have come too late: then the step ended by itself, and its result is whole.
    if (signal?.aborted && exit.length === 4 && (exit.readUInt32LE(0) & 0x7f) === 9) throw canceled(step, signal)
    return readExit(exit, step, isolation)
  } finally {
    signal?.removeEventListener('abort', kill)
  }
}

/** Each network is opened once: what the executor can give does not change while it lives. */
function createNetworks(connection: Connection): (name: string) => Promise<Network> {
  const ask = async (): Promise<NetworkOffer> => {
    const { payload } = await connection.request(
      frameTypes.prepareNetwork,
      Buffer.from(findProgram('pasta') ?? ''),
      ({ type }) => type === frameTypes.network,
    ).answer
    const kind = offeredKinds[payload.readUInt32LE(0)] ?? 'host'
    const resolver = payload.readUInt32LE(4)
    return { kind, reason: payload.toString('utf8', 8), ...(resolver === 0 ? {} : { resolver: addressText(resolver) }) }
  }
  const opened = new Map<string, Promise<Network>>()
  return (name) => {
    const known = opened.get(name) ?? loadNetwork(name).then((network) => network.open(ask))
    opened.set(name, known)
    return known
  }
}

/** As `enum default_network` of native/network/pool.h numbers them. */
const offeredKinds = ['host', 'nat', 'pasta'] as const

function addressText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}

function passOutput(frame: Frame, io: StepIo): void {
  if (frame.type === frameTypes.stdout) io.onOutput('stdout', frame.payload)
  else if (frame.type === frameTypes.stderr) io.onOutput('stderr', frame.payload)
}

/** What a step wrote into mounts whose writes are discarded; the files may belong to ids that only exist inside. */
async function removeScratch(connection: Connection, step: StepSpec): Promise<void> {
  const scratch = step.mounts.flatMap(({ source, readonly }) =>
    source.kind === 'overlay' && !readonly
      ? [`${source.scratchDirectory}/upper`, `${source.scratchDirectory}/work`]
      : [],
  )
  if (scratch.length > 0) await removeInExecutor(connection, scratch)
}

async function removeInExecutor(connection: Connection, paths: readonly string[]): Promise<void> {
  const fields = createFieldWriter()
  for (const path of paths) fields.string(fieldTags.path, path)
  const { payload } = await connection.request(
    frameTypes.removeTrees,
    fields.payload(),
    ({ type }) => type === frameTypes.removed,
  ).answer
  const error = payload.readUInt32LE(0)
  if (error === 0) return
  const path = payload.toString('utf8', 4)
  throw new RuntimeError('OCI_RUNTIME_FILES', `remove ${path}: ${errnoText(error)}`, {
    details: { path, errno: errnoName(error) },
  })
}

function canceled(step: StepSpec, signal: AbortSignal): RuntimeError {
  return new RuntimeError('OCI_RUNTIME_CANCELED', `${step.name}: canceled`, { cause: signal.reason })
}
