import { localPath, type StepMount } from '@ts-oci/runtime'
import { mkdtempSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import { BuilderError } from '../../base/errors.ts'
import { toByteString } from '../../base/byte-string.ts'
import type { LayerHandle } from '../../layers/types.ts'
import { ownersOnDisk } from '../../disk/owner-record.ts'
import type { OpsEnvironment } from '../environment.ts'
import type { ExecMount, ExecSpec } from '../../graph/op-specs.ts'
import type { Result, RunContext } from '../../solver/types.ts'
import { contextLayer } from '../context-layer.ts'
import { withCacheMounts } from './cache-locks.ts'
import type { CacheParts } from './cache-mount.ts'

/** What the mounts of a step are made with. */
export type MountParts = CacheParts & Pick<OpsEnvironment, 'secret' | 'sshAgent'>

/** The mounts of a step, ready for the executor, and the secrets among its variables. */
export interface PreparedMounts {
  readonly list: readonly StepMount[]
  readonly env: readonly string[]
}

/** With every mount at an absolute path: a secret or an agent may be asked for below the directory of the step. */
export function withAbsoluteMounts(spec: ExecSpec): ExecSpec {
  if (spec.mounts.every((mount) => mount.dest.startsWith('/'))) return spec
  const mounts = spec.mounts.map((mount) =>
    mount.dest.startsWith('/') ? mount : { ...mount, dest: posix.join('/', spec.meta.cwd, mount.dest) },
  )
  return { ...spec, mounts }
}

/** Whose mounts they are. */
export interface StepMounts {
  readonly environment: MountParts
  readonly spec: ExecSpec
  readonly inputs: readonly Result[]
  /** A directory of the step, for what its mounts need. */
  readonly temporary: string
  readonly run: Pick<RunContext, 'signal' | 'whileWaiting'>
}

/**
 * Runs work with everything but the root mounted, parents before what lies below them. Caches are held as long: the turn
 * of this step is lent to others while it waits for one.
 */
export async function withMounts<T>(
  { environment, spec, inputs, temporary, run }: StepMounts,
  use: (mounts: PreparedMounts) => Promise<T>,
): Promise<T> {
  return withCacheMounts(environment, spec, inputs, run, async (caches) => {
    const disposables: AsyncDisposable[] = []
    try {
      const list: StepMount[] = []
      const sorted = spec.mounts.filter((mount) => mount.dest !== '/').sort((a, b) => depth(a.dest) - depth(b.dest))
      for (const mount of sorted) {
        const work: MountWork = { environment, inputs, temporary, caches, disposables }
        const prepared = await prepareMount[mount.type](work, mount)
        if (prepared) list.push(prepared)
      }
      const env: string[] = []
      for (const { id, name, optional } of spec.secretEnv) {
        const value = await secretOf(environment, id, optional)
        // BuildKit sets the variable, empty, for a secret that may be missing and is.
        env.push(`${name}=${Buffer.from(value ?? []).toString('utf8')}`)
      }
      return await use({ list, env })
    } finally {
      for (const one of disposables) await one[Symbol.asyncDispose]()
    }
  })
}

function depth(path: string): number {
  return path.split('/').filter((part) => part !== '').length
}

/** What the mounts of one step are made with; `disposables` goes with the step. */
interface MountWork {
  readonly environment: MountParts
  readonly inputs: readonly Result[]
  readonly temporary: string
  readonly caches: ReadonlyMap<ExecMount, string>
  readonly disposables: AsyncDisposable[]
}

type PrepareMount = (work: MountWork, mount: ExecMount) => Promise<StepMount | undefined>

/** Undefined for a secret or an agent that may be missing and is. */
const prepareMount: Readonly<Record<ExecMount['type'], PrepareMount>> = {
  bind: async (work, mount) => ({ ...placeOf(mount), source: await bindSource(work, mount) }),
  tmpfs: async (_work, mount) => {
    const size = mount.tmpfsSizeBytes ? { sizeBytes: mount.tmpfsSizeBytes } : {}
    return { ...placeOf(mount), source: { kind: 'tmpfs', ...size } }
  },
  cache: async ({ caches }, mount) => {
    const subPath = mount.selector === '' || mount.input >= 0 ? {} : { subPath: toByteString(mount.selector) }
    return { ...placeOf(mount), source: { kind: 'bind', hostPath: caches.get(mount)!, ...subPath } }
  },
  secret: prepareSecret,
  ssh: prepareAgent,
}

function placeOf({ dest, readonly }: ExecMount): Pick<StepMount, 'target' | 'readonly'> {
  return { target: dest, readonly }
}

async function prepareSecret({ environment }: MountWork, mount: ExecMount): Promise<StepMount | undefined> {
  const { secret } = mount
  if (secret === undefined) throw new Error('a secret mount without a secret')
  const { id, uid, gid, mode, optional } = secret
  const content = await secretOf(environment, id, optional)
  return content && { target: mount.dest, readonly: true, source: { kind: 'secret', content, uid, gid, mode } }
}

async function prepareAgent(work: MountWork, mount: ExecMount): Promise<StepMount | undefined> {
  const { environment, temporary, disposables } = work
  const { ssh } = mount
  if (ssh === undefined) throw new Error('an ssh mount without an id')
  // In a definition, as in BuildKit's, an empty id is the default one.
  const id = ssh.id || 'default'
  const agent = environment.sshAgent(id)
  if (agent === undefined && !ssh.optional)
    throw new BuilderError('OCI_SECRET_NOT_FOUND', `unset ssh forward key ${id}`, {
      hint: `give --ssh ${id}`,
    })
  if (agent === undefined) return undefined
  const { openStepSocket } = await import('../ssh-agent/agent-socket.ts')
  const socket = await openStepSocket({
    agent,
    directory: temporary,
    name: `ssh-${disposables.length}`,
    mode: ssh.mode,
    uid: ssh.uid,
    gid: ssh.gid,
    jobs: environment.jobs,
    hasOwners: ownersOnDisk((await environment.executor()).idMapping) !== 'record',
  })
  disposables.push(socket)
  return { target: mount.dest, readonly: false, source: { kind: 'bind', hostPath: socket.path } }
}

async function secretOf(environment: MountParts, id: string, optional: boolean): Promise<Uint8Array | undefined> {
  const value = await environment.secret(id)
  if (value === undefined && !optional)
    throw new BuilderError('OCI_SECRET_NOT_FOUND', `secret ${id}: not found`, {
      hint: `give --secret id=${id},src=FILE or id=${id},env=NAME`,
    })
  return value
}

async function bindSource(work: MountWork, mount: ExecMount): Promise<StepMount['source']> {
  const { environment, inputs, temporary } = work
  const { forms } = environment
  if (!(await forms.usesOverlay())) return copiedSource(work, mount)
  const scratchDirectory = join(temporary, basename(mkdtempSync(join(localPath(temporary), 'mount-'))))
  const subPath = mount.selector === '' || mount.selector === '/' ? {} : { subPath: toByteString(mount.selector) }
  if (mount.input < 0) return { kind: 'overlay', lowers: [], scratchDirectory, ...subPath }
  const input = inputs[mount.input]!
  const lowers = await forms.overlayTrees(chainOf(environment, mount, input))
  return { kind: 'overlay', lowers, scratchDirectory, ...subPath }
}

function chainOf({ forms }: MountParts, mount: ExecMount, input: Result): readonly LayerHandle[] {
  return input.kind === 'layers' ? input.layers : [contextLayer(forms, input, mount.selector)]
}

/** Where nothing is laid over anything: what lies there, copied; once for all steps that only read it. */
async function copiedSource(
  { environment, inputs, disposables }: MountWork,
  mount: ExecMount,
): Promise<StepMount['source']> {
  const { forms } = environment
  const chain = mount.input < 0 ? [] : chainOf(environment, mount, inputs[mount.input]!)
  const path = toByteString(mount.selector).replace(/^\/+/, '')
  if (path !== '' && (await forms.view(chain)).lookup(path, { followLast: true }) === undefined)
    throw new BuilderError('OCI_STEP_FAILED', `open ${mount.selector}: no such file or directory`, {
      details: { missingSource: mount.selector },
    })
  if (mount.readonly) return { kind: 'bind', hostPath: (await forms.workingTrees.copyOnce(chain, path)).path }
  const copy = await forms.workingTrees.copy(chain, path)
  disposables.push(copy)
  return { kind: 'bind', hostPath: copy.path }
}
