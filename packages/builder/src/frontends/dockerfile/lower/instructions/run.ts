import type { ExecMount, ExecSpec } from '../../../../graph/op-specs.ts'
import type { RunInstruction } from '../../read/ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import type { Environment } from '../../expand/types.ts'
import { chompTabs, findHeredocStart } from '../../read/heredoc.ts'
import { addHistory } from '../image-config.ts'
import { environmentOf } from '../build-state.ts'
import type { InstructionContext, Lowering } from '../context.ts'
import { addInlineFile } from '../copy-sources.ts'
import { commandName, metadataFor, nameInStage, summarizeHeredoc } from '../names.ts'
import { joinPath } from '../../read/path.ts'
import { createInputList, edgeOf } from '../pending.ts'
import { readMounts, type RunMounts, type StepInput } from '../run-mounts.ts'
import { withShell } from './shell.ts'
import type { StageResult } from '../stage-state.ts'

/** Where scripts that begin with `#!` are put for the step. */
const SCRIPT_DIRECTORY = '/dev/pipes/'
const SCRIPT_MODE = 0o755

export const lowerRun: Lowering<RunInstruction> = (context, instruction) => {
  const { stage, epoch } = context
  const mounts = readMounts(context, instruction)
  // A step may read anything.
  stage.paths.add('/')
  const command = readCommand(context, instruction)
  if (command.args.length === 0) throw new Complaint('failed to marshal LLB definition: arguments are required')
  const env = environmentOf(stage.state)
  const name = nameOf(context, instruction, command.summary, mounts, env)
  const history = `RUN ${[...argumentsOf(stage), ...command.args].join(' ')} # buildkit`
  addStep(context, instruction, command, mounts, name)
  addHistory(stage.image, history, true, epoch)
}

interface StepCommand {
  readonly args: readonly string[]
  /** The script's mount. */
  readonly inputs: readonly StepInput[]
  /** First line of a heredoc. */
  readonly summary: string | undefined
}

function readCommand(context: InstructionContext, { command }: RunInstruction): StepCommand {
  const { image } = context.stage
  const { files, prependShell } = command
  const complete = (args: readonly string[]): readonly string[] => (prependShell ? withShell(image, args) : args)
  const [first] = files
  if (first === undefined) return { args: complete(command.args), inputs: [], summary: undefined }
  const [line = ''] = command.args
  if (findHeredocStart(line) === undefined) {
    // The shell reads the documents itself.
    const text = line + files.map(({ data, name }) => `\n${data}${name}`).join('')
    return { args: complete([text]), inputs: [], summary: undefined }
  }
  const summary = summarizeHeredoc(first.data)
  const data = first.chomp ? chompTabs(first.data) : first.data
  if (!data.startsWith('#!')) return { args: complete([data]), inputs: [], summary }
  const source = addInlineFile(context, first.name, data, SCRIPT_MODE)
  const mount = {
    target: SCRIPT_DIRECTORY,
    source,
    selector: '/',
    isReadonly: true,
    type: 'bind',
    hasOutput: false,
  } as const
  return { args: complete([joinPath(SCRIPT_DIRECTORY, first.name)]), inputs: [mount], summary }
}

function nameOf(
  context: InstructionContext,
  instruction: RunInstruction,
  summary: string | undefined,
  mounts: RunMounts,
  env: Environment,
): string {
  const { stage, options, escape } = context
  const text = summary === undefined ? instruction.original : `${instruction.original} (${summary})`
  const masked = maskSecrets(
    env,
    mounts.secretEnv.map((secret) => secret.name),
  )
  return nameInStage(stage, commandName(text, masked, { escape, rawQuotes: true, keepUnset: true }), {
    multiPlatform: options.multiPlatform === true,
    platform: stage.state.platform,
    env,
  })
}

// Not to hide a value, which nobody knows yet, but to show that it comes from a secret.
function maskSecrets(env: Environment, names: readonly string[]): Environment {
  if (names.length === 0) return env
  return {
    get: (name) => (names.includes(name) ? '****' : env.get(name)),
    keys: () => new Set([...env.keys(), ...names]),
  }
}

/** `|2 a=1 b=2`: the arguments that the step sees, each once, with the value that its environment has. */
function argumentsOf(stage: StageResult): string[] {
  const { arguments: values, state } = stage
  if (values.size === 0) return []
  return [`|${values.size}`, ...[...values].map(([key, value]) => `${key}=${state.env.get(key) ?? value ?? ''}`)]
}

function addStep(
  context: InstructionContext,
  instruction: RunInstruction,
  command: StepCommand,
  mounts: RunMounts,
  name: string,
): void {
  const { stage, options, location, graph } = context
  const before = stage.state.output
  const shm = options.shmSizeBytes ?? 0
  const shared: StepInput[] =
    shm > 0
      ? [
          {
            target: '/dev/shm',
            source: undefined,
            selector: '',
            isReadonly: false,
            type: 'tmpfs',
            hasOutput: false,
            sizeBytes: shm,
          },
        ]
      : []
  const root: StepInput = {
    target: '/',
    source: before,
    selector: '',
    isReadonly: false,
    type: 'bind',
    hasOutput: true,
  }
  const ordered = [root, ...command.inputs, ...mounts.inputs, ...shared].sort(compareTargets)
  const meta = metaOf(context, instruction, command, mounts)
  const network = instruction.network === 'default' ? stage.state.network : instruction.network
  const platform = stage.state.platform ?? options.targetPlatform
  const metadata = metadataFor(name, location, {
    command: instruction.original.trim(),
    ...(stage.ignoreCache ? { ignoreCache: true } : {}),
    ...(options.resources === undefined ? {} : { resources: options.resources }),
  })
  stage.state.output = graph.add(() => {
    const inputs = createInputList()
    let outputs = 0
    const list = ordered.map((mount) => toExecMount(mount, inputs.add(mount.source), mount.hasOutput ? outputs++ : -1))
    const op: ExecSpec = {
      kind: 'exec',
      meta,
      mounts: [...list, ...mounts.secrets, ...mounts.ssh],
      network,
      security: instruction.security,
      secretEnv: mounts.secretEnv,
      ...(instruction.devices.length === 0
        ? {}
        : { cdiDevices: instruction.devices.map((device) => ({ name: device.name, optional: !device.required })) }),
    }
    return edgeOf(op, inputs.edges, platform, metadata)
  })
}

function compareTargets(a: StepInput, b: StepInput): number {
  return Buffer.compare(Buffer.from(a.target), Buffer.from(b.target))
}

function toExecMount(mount: StepInput, input: number, output: number): ExecMount {
  return {
    input,
    selector: mount.selector,
    dest: mount.target,
    output,
    readonly: mount.isReadonly,
    type: mount.type,
    ...(mount.type === 'tmpfs' ? { tmpfsSizeBytes: mount.sizeBytes ?? 0 } : {}),
    ...(mount.cache === undefined ? {} : { cache: mount.cache }),
  }
}

function metaOf(
  context: InstructionContext,
  { overrides }: RunInstruction,
  command: StepCommand,
  mounts: RunMounts,
): ExecSpec['meta'] {
  const { stage, options, proxyEnv, budget } = context
  const own = overrides?.env
  const variables = own === undefined ? stage.state.env : new Map([...stage.state.env, ...Object.entries(own)])
  const env = [...variables].map(([key, value]) => `${key}=${value}`)
  budget.spend(env.reduce((length, line) => length + line.length, 0))
  const agent = mounts.ssh[0]
  if (agent !== undefined && !variables.has('SSH_AUTH_SOCK')) env.push(`SSH_AUTH_SOCK=${agent.dest}`)
  return {
    args: command.args,
    env,
    cwd: overrides?.cwd ?? stage.state.directory,
    user: overrides?.user ?? stage.state.user,
    hostname: stage.state.hostname,
    extraHosts: options.extraHosts,
    ...(proxyEnv === undefined ? {} : { proxyEnv }),
    ...(options.ulimits === undefined || options.ulimits.length === 0 ? {} : { ulimits: options.ulimits }),
    ...(options.cgroupParent === undefined || options.cgroupParent === ''
      ? {}
      : { cgroupParent: options.cgroupParent }),
  }
}
