import { BuilderError } from '../../base/errors.ts'
import type { ContainerConfig, HistoryEntry, Platform } from '../../oci/types.ts'
import type { ExecMount, FileAction, FileActionCopy } from '../../graph/op-specs.ts'
import { joinPath, setEnv, type State, type StateMount, type StateOrigin, type StateStep } from './state.ts'
import type { Edge } from '../../graph/types.ts'
import { createVertex } from '../../graph/vertex.ts'

/** What a state is once its base's config is known: an edge, the config and its history. */
export interface LoweredState {
  readonly edge: Edge | undefined
  readonly config: ContainerConfig
  readonly history: readonly HistoryEntry[]
}

/** Lowers a state; `base` says what its origin is (an edge and a config), and is asked once for each origin. */
export async function lowerState(
  state: State,
  platform: Platform,
  base: (origin: StateOrigin) => Promise<LoweredState>,
): Promise<LoweredState> {
  let current = await base(state.origin)
  for (const step of state.steps)
    current = await lowerStep(current, step, platform, (from) => lowerState(from, platform, base))
  return current
}

async function lowerStep(
  current: LoweredState,
  step: StateStep,
  platform: Platform,
  lowerOther: (state: State) => Promise<LoweredState>,
): Promise<LoweredState> {
  switch (step.kind) {
    case 'config':
      return {
        ...current,
        config: step.apply(current.config),
        history: [...current.history, { created_by: step.createdBy, comment: HISTORY_COMMENT, empty_layer: true }],
      }
    case 'run':
      return lowerRun(current, step, platform, lowerOther)
    case 'copy': {
      const from = await lowerOther(step.from)
      if (from.edge === undefined)
        throw new BuilderError('OCI_OPTION_INVALID', 'nothing can be copied from an empty state')
      const inputs = [...(current.edge ? [current.edge] : []), from.edge]
      const actions = step.sources.map((source, index) =>
        copyAction(
          step,
          source,
          absolute(current, step.destination) + (step.destination.endsWith('/') ? '/' : ''),
          index,
          inputs.length,
          step.sources.length,
        ),
      )
      return extend(current, actions, inputs, `COPY ${step.sources.join(' ')} ${step.destination}`)
    }
    case 'file':
      return change(current, `FILE ${step.path}`, {
        kind: 'mkfile',
        path: absolute(current, step.path),
        mode: step.mode,
        data: step.data,
        timestamp: -1,
      })
    case 'directory':
      return change(current, `DIRECTORY ${step.path}`, {
        kind: 'mkdir',
        path: absolute(current, step.path),
        mode: step.mode,
        makeParents: true,
        timestamp: -1,
      })
    case 'remove':
      return change(current, `REMOVE ${step.path}`, {
        kind: 'rm',
        path: absolute(current, step.path),
        allowNotFound: true,
        allowWildcard: true,
      })
  }
}

const HISTORY_COMMENT = 'ts-oci.state.v0'

/** A path of a state, against its working directory. */
function absolute(current: LoweredState, path: string): string {
  return joinPath(current.config.WorkingDir ?? '/', path)
}

/** One action on what is there, or on nothing. */
function change(current: LoweredState, name: string, action: FileAction['action']): LoweredState {
  const inputs = current.edge ? [current.edge] : []
  return extend(current, [{ input: inputs.length - 1, secondaryInput: -1, output: 0, action }], inputs, name)
}

function extend(
  current: LoweredState,
  actions: readonly FileAction[],
  inputs: readonly Edge[],
  name: string,
): LoweredState {
  const vertex = createVertex({ kind: 'file', actions }, inputs, { metadata: { name } })
  return {
    ...current,
    edge: { vertex, output: 0 },
    history: [...current.history, { created_by: name, comment: HISTORY_COMMENT }],
  }
}

function copyAction(
  step: Extract<StateStep, { kind: 'copy' }>,
  source: string,
  destination: string,
  index: number,
  inputCount: number,
  count: number,
): FileAction {
  const base = inputCount === 2 ? 0 : -1
  const action: FileActionCopy = {
    kind: 'copy',
    src: joinPath('/', source),
    dest: destination,
    ...(step.options.owner === undefined ? {} : { owner: parseOwner(step.options.owner, base) }),
    mode: step.options.mode ?? -1,
    modeStr: '',
    followSymlink: true,
    dirCopyContents: true,
    attemptUnpackDockerCompatibility: false,
    createDestPath: true,
    allowWildcard: true,
    allowEmptyWildcard: true,
    timestamp: -1,
    includePatterns: step.options.include ?? [],
    excludePatterns: step.options.exclude ?? [],
    alwaysReplaceExistingDestPaths: false,
  }
  return {
    input: index === 0 ? base : inputCount + index - 1,
    secondaryInput: inputCount - 1,
    output: index === count - 1 ? 0 : -1,
    action,
  }
}

function parseOwner(owner: string, input: number): NonNullable<FileActionCopy['owner']> {
  const [user = '', group = user] = owner.split(':')
  const id = (text: string): { readonly id: number } | { readonly name: string; readonly input: number } =>
    /^\d+$/.test(text) ? { id: Number(text) } : { name: text, input }
  return { user: id(user), group: id(group) }
}

async function lowerRun(
  current: LoweredState,
  step: Extract<StateStep, { kind: 'run' }>,
  platform: Platform,
  lowerOther: (state: State) => Promise<LoweredState>,
): Promise<LoweredState> {
  if (current.edge === undefined)
    throw new BuilderError('OCI_OPTION_INVALID', 'run needs a file system: the state is empty', {
      hint: 'start from image(…), or copy something first',
    })
  const inputs: Edge[] = [current.edge]
  const mounts: ExecMount[] = [{ input: 0, selector: '', dest: '/', output: 0, readonly: false, type: 'bind' }]
  const secretEnv: { id: string; name: string; optional: boolean }[] = []
  for (const mount of step.options.mounts ?? []) {
    if (mount.kind === 'secret' && mount.env !== undefined)
      secretEnv.push({ id: mount.id, name: mount.env, optional: !mount.required })
    else mounts.push(await lowerMount(mount, inputs, lowerOther))
  }
  const shell = current.config.Shell ?? ['/bin/sh', '-c']
  const args = step.shellForm ? [...shell, ...step.args] : step.args
  let env = current.config.Env ?? []
  for (const [name, value] of Object.entries(step.options.env ?? {})) env = setEnv(env, name, value)
  const vertex = createVertex(
    {
      kind: 'exec',
      meta: {
        args,
        env,
        cwd: step.options.cwd ?? current.config.WorkingDir ?? '/',
        user: step.options.user ?? current.config.User ?? '',
        hostname: '',
        extraHosts: [],
      },
      mounts,
      network: step.options.network ?? 'default',
      security: 'sandbox',
      secretEnv,
    },
    inputs,
    { platform, metadata: { name: `RUN ${step.args.join(' ')}` } },
  )
  return {
    ...current,
    edge: { vertex, output: 0 },
    history: [...current.history, { created_by: `RUN ${args.join(' ')}`, comment: HISTORY_COMMENT }],
  }
}

async function lowerMount(
  mount: StateMount,
  inputs: Edge[],
  lowerOther: (state: State) => Promise<LoweredState>,
): Promise<ExecMount> {
  const plain = { input: -1, selector: '', output: -1, readonly: false }
  switch (mount.kind) {
    case 'cache':
      return {
        ...plain,
        dest: mount.target,
        type: 'cache',
        cache: { id: mount.id ?? mount.target, sharing: mount.sharing ?? 'shared' },
      }
    case 'tmpfs':
      return {
        ...plain,
        dest: mount.target,
        type: 'tmpfs',
        ...(mount.sizeBytes === undefined ? {} : { tmpfsSizeBytes: mount.sizeBytes }),
      }
    case 'secret':
      return {
        ...plain,
        dest: mount.target ?? `/run/secrets/${mount.id}`,
        type: 'secret',
        secret: { id: mount.id, uid: 0, gid: 0, mode: 0o400, optional: !mount.required },
      }
    case 'bind': {
      const from = await lowerOther(mount.from)
      if (from.edge === undefined)
        throw new BuilderError('OCI_OPTION_INVALID', `nothing to mount on ${mount.target}: the state is empty`)
      inputs.push(from.edge)
      return {
        ...plain,
        input: inputs.length - 1,
        selector: mount.source ?? '',
        dest: mount.target,
        readonly: mount.readonly ?? true,
        type: 'bind',
      }
    }
  }
}
