/** `RUN --mount`: what a step sees besides its root. */
import { posix } from 'node:path'
import type { ExecMount, ExecSpec, FileSpec } from '../../../graph/op-specs.ts'
import type { MountType, RunInstruction, RunMount } from '../read/ast.ts'
import { Complaint } from '../expand/complaint.ts'
import { parseMount } from '../read/mount.ts'
import { quote } from '../../../base/text.ts'
import type { InstructionContext } from './context.ts'
import { internalMetadata } from './names.ts'
import { baseName, cleanPath, joinPath } from '../read/path.ts'
import { createInputList, edgeOf, type Output } from './pending.ts'
import type { StageState } from './stage-state.ts'

/** A mount with content; its inputs are numbered when the vertex is made. */
export interface StepInput {
  readonly target: string
  readonly source: Output | undefined
  readonly selector: string
  readonly isReadonly: boolean
  readonly type: MountType
  /** What is written there is a result. */
  readonly hasOutput: boolean
  readonly sizeBytes?: number
  readonly cache?: ExecMount['cache']
}

export interface RunMounts {
  readonly inputs: readonly StepInput[]
  readonly secrets: readonly ExecMount[]
  readonly ssh: readonly ExecMount[]
  readonly secretEnv: ExecSpec['secretEnv']
}

const SECRET_MODE = 0o400
const SOCKET_MODE = 0o600
const CACHE_MODE = 0o755

/** Reads the mounts with the stage's variables, and remembers what they read of contexts and stages. */
export function readMounts(context: InstructionContext, instruction: RunInstruction): RunMounts {
  const mounts = instruction.mountSpecs.map((spec) => parseMount(spec, context.expand))
  const inputs: StepInput[] = []
  const secrets: ExecMount[] = []
  const ssh: ExecMount[] = []
  const secretEnv: ExecSpec['secretEnv'][number][] = []
  mounts.forEach((mount, index) => {
    if (mount.type === 'ssh') ssh.push(readSsh(context, mount, ssh.length))
    else if (mount.type !== 'secret') inputs.push(readInput(context, mount, context.command.sources[index]))
    else {
      const secret = readSecret(context, mount)
      if (secret.env !== undefined) secretEnv.push(secret.env)
      if (secret.file !== undefined) secrets.push(secret.file)
    }
  })
  return { inputs, secrets, ssh, secretEnv }
}

function readSecret(
  { stage, location }: InstructionContext,
  mount: RunMount,
): { env?: ExecSpec['secretEnv'][number]; file?: ExecMount } {
  const id = mount.source || mount.id || baseName(mount.target)
  const optional = !mount.required
  if (!stage.outline.secrets.has(id)) stage.outline.secrets.set(id, { required: mount.required, location })
  const dest = mount.target !== '' ? mount.target : mount.env === undefined ? `/run/secrets/${baseName(id)}` : undefined
  const secret = { id, ...ownership(mount, SECRET_MODE), optional }
  return {
    ...(mount.env === undefined ? {} : { env: { id, name: mount.env, optional } }),
    ...(dest === undefined ? {} : { file: { ...noContent('secret', dest), secret } }),
  }
}

function readSsh({ stage, location }: InstructionContext, mount: RunMount, index: number): ExecMount {
  if (mount.source !== '') throw new Complaint('ssh does not support source')
  const known = mount.id || 'default'
  if (!stage.outline.ssh.has(known)) stage.outline.ssh.set(known, { required: mount.required, location })
  const ssh = { id: mount.id, ...ownership(mount, SOCKET_MODE), optional: !mount.required }
  return { ...noContent('ssh', mount.target || `/run/buildkit/ssh_agent.${index}`), ssh }
}

function ownership({ uid, gid, mode }: RunMount, defaultMode: number): { uid: number; gid: number; mode: number } {
  return { uid: uid ?? 0, gid: gid ?? 0, mode: mode ?? defaultMode }
}

function noContent(type: MountType, dest: string): ExecMount {
  return { input: -1, selector: '', dest, output: -1, readonly: false, type }
}

function readInput(context: InstructionContext, mount: RunMount, stage: StageState | undefined): StepInput {
  const isCache = mount.type === 'cache'
  const source = sourceOf(context, mount, stage)
  const target = targetOf(context, mount)
  const selected = joinPath('/', mount.source)
  const hasOwnership = mount.uid !== undefined || mount.gid !== undefined || mount.mode !== undefined
  const isPrepared = selected === '/' && hasOwnership
  if (mount.type !== 'tmpfs') {
    const paths = mount.from === '' && !isCache ? context.stage.contextPaths : stage?.paths
    paths?.add(selected)
  }
  return {
    target,
    source: isPrepared ? addCacheDirectory(context, mount, source) : source,
    selector: isPrepared ? '/cache' : selected === '/' ? '' : selected,
    isReadonly: mount.readOnly,
    type: mount.type,
    hasOutput: false,
    ...(mount.type === 'tmpfs' ? { sizeBytes: mount.sizeLimitBytes } : {}),
    ...(isCache ? { cache: cacheOf(context, mount) } : {}),
  }
}

function sourceOf(context: InstructionContext, mount: RunMount, stage: StageState | undefined): Output | undefined {
  if (mount.type === 'cache' && mount.from === '') return undefined
  if (mount.from !== '' && stage?.phase.isDispatched !== true) {
    throw new Complaint(
      `cannot mount from stage ${quote(mount.from)} to ${quote(mount.target)}, stage needs to be defined before current command`,
    )
  }
  if (mount.type === 'tmpfs') return undefined
  return mount.from === '' ? context.contextOutput : stage!.state.output
}

function targetOf({ stage }: InstructionContext, { target }: RunMount): string {
  const path = posix.isAbsolute(cleanPath(target)) ? target : joinPath('/', stage.state.directory, target)
  if (path === '/') throw new Complaint(`invalid mount target ${quote(path)}`)
  return path
}

function cacheOf({ options }: InstructionContext, mount: RunMount): ExecMount['cache'] {
  const id = `${options.cacheMountNamespace ?? ''}/${mount.id || cleanPath(mount.target)}`
  return { id, sharing: mount.sharing ?? 'shared' }
}

// A cache that wants an owner or a mode begins with a directory that has them.
function addCacheDirectory({ graph }: InstructionContext, mount: RunMount, source: Output | undefined): Output {
  const { uid, gid, mode } = ownership(mount, CACHE_MODE)
  return graph.add(() => {
    const inputs = createInputList()
    const op: FileSpec = {
      kind: 'file',
      actions: [
        {
          input: inputs.add(source),
          secondaryInput: -1,
          output: 0,
          action: {
            kind: 'mkdir',
            path: '/cache',
            mode: mode & 0o777,
            makeParents: false,
            owner: { user: { id: uid }, group: { id: gid } },
            timestamp: -1,
          },
        },
      ],
    }
    return edgeOf(op, inputs.edges, undefined, internalMetadata('setting cache mount permissions'))
  })
}
