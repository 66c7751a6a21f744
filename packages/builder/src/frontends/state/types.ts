import type { NetworkMode } from '../../graph/op-specs.ts'
import type { RawInstruction, StageInstruction } from '../dockerfile/read/ast.ts'

/** Text as it is, or text whose variables are replaced as in a Dockerfile: `expand('/opt/bin:$PATH')`. */
export type Text = string | ExpandedText

export interface ExpandedText {
  /** Words, variables and quotes of the Dockerfile language. */
  readonly expand: string
}

/** A command line for the image's shell, or an argument vector. */
export type Command = string | readonly string[]

/** Where a state begins. An image's config is resolved when the build starts, so a state is made without asking anybody. */
export type StateOrigin =
  | { readonly kind: 'image'; readonly reference: Text; readonly platform?: Text }
  | { readonly kind: 'scratch'; readonly platform?: Text }
  | { readonly kind: 'local'; readonly directory: string; readonly ignore: readonly string[] | undefined }

/** What an instruction of the Dockerfile says beyond its text. */
type DraftOf<I> = I extends StageInstruction ? Omit<I, keyof RawInstruction> : never

/** One instruction; the states that it reads get names when the whole is known. */
export interface StateStep {
  readonly keyword: string
  /** What stands behind the keyword where it is shown. */
  readonly shown: string
  readonly draft: DraftOf<StageInstruction>
  readonly from?: State
  readonly mounts?: readonly StateMount[]
}

/** The steps of a state, the last one first: a state shares those of the one that it was made from. */
export interface StepList {
  readonly step: StateStep
  readonly before: StepList | undefined
}

export interface LocalOptions {
  /** Patterns instead of those of the directory's `.dockerignore`; `false`: nothing is left out. */
  readonly ignore?: readonly string[] | false
}

export interface RunOptions {
  readonly mounts?: readonly StateMount[]
  readonly network?: NetworkMode
  /** `insecure` needs the build's `allow: ['security.insecure']`. */
  readonly security?: 'sandbox' | 'insecure'
  /** Names of the Container Device Interface, each of which the step needs; they take the build's `allow: ['device']`. */
  readonly devices?: readonly string[]
  /** For this step alone, as are `cwd` and `env`. */
  readonly user?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Who owns what is written, and with which mode. */
export interface OwnerOptions {
  /** `user[:group]`, by number or by a name of the state that is written into. */
  readonly owner?: Text
  /** Permission bits, or a symbolic mode such as `u+x,go-w`. */
  readonly mode?: number | string
}

export interface CopyOptions extends OwnerOptions {
  /** Paths or wildcards of what is copied from; the whole of it without. */
  readonly sources?: readonly Text[]
  /** Patterns of what is copied and of what is left out of it. */
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
  /** A layer of its own, equal whatever it lies on. */
  readonly link?: boolean
  /** The directories in front of each source come along; `/./` says from where on. */
  readonly parents?: boolean
}

export interface AddOptions extends OwnerOptions {
  /** Paths or wildcards where a state is added; the whole of it without. */
  readonly sources?: readonly Text[]
  readonly exclude?: readonly string[]
  readonly link?: boolean
  /** Archives are unpacked: by default those of a state, and not those of a URL. */
  readonly unpack?: boolean
  /** `sha256:…` of a URL's file, or the commit of a repository. */
  readonly checksum?: Text
  /** The `.git` directory of a repository comes along. */
  readonly keepGitDir?: boolean
}

/** Times in milliseconds; what is left out is Docker's default when the container runs. */
export interface HealthcheckOptions {
  readonly intervalMs?: number
  readonly timeoutMs?: number
  readonly startPeriodMs?: number
  readonly startIntervalMs?: number
  readonly retries?: number
}

/** What a step sees besides its root: see `cache`, `secret`, `ssh`, `tmpfs` and `bind`. */
export interface StateMount {
  readonly type: 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh'
  /** Fields of `RUN --mount`, in the order in which they are written. */
  readonly fields: Readonly<Record<string, Text | number | boolean | undefined>>
  readonly from?: State
}

/**
 * An image in the making: the instructions of a Dockerfile as methods, each with the config, the history and the layers
 * that the instruction has. Immutable: every call gives a new state, so one can be the base of many. Text is taken as it is:
 * variables are replaced in `expand(…)` alone. What is wrong with a value is told by `build`.
 * @example
 * const app = image('node:24').workdir('/app').copy(local('.'), '.').run('npm ci').cmd(['node', 'server.js'])
 */
export interface State {
  readonly origin: StateOrigin
  readonly steps: StepList | undefined
  /** RUN. A text that begins with `#!` is run as a script. */
  run(command: Command, options?: RunOptions): State
  /** COPY `--from` another state: the whole of it, or the `sources`. */
  copy(from: State, destination: Text, options?: CopyOptions): State
  /** ADD: URLs and git repositories, or what lies in a state, archives unpacked. */
  add(from: State | Text | readonly Text[], destination: Text, options?: AddOptions): State
  /** Writes one file, as COPY does with a here-document. */
  file(path: string, data: string | Uint8Array, options?: OwnerOptions): State
  /** Makes a directory, and those above it. */
  directory(path: string, options?: { readonly mode?: number; readonly owner?: string }): State
  /** Removes a path or what a wildcard matches, if it is there. */
  remove(path: string): State
  /** ENV; a record is one instruction with several variables. */
  env(name: string, value: Text): State
  env(values: Readonly<Record<string, Text>>): State
  /** LABEL; a record is one instruction with several labels. */
  label(name: string, value: Text): State
  label(values: Readonly<Record<string, Text>>): State
  /** ARG: a variable of the steps behind it that `buildArgs` may set. */
  arg(name: string, value?: Text): State
  /** One ARG for several variables; `undefined` is one without a default. */
  args(values: Readonly<Record<string, Text | undefined>>): State
  /** WORKDIR: a directory that is made, and where what follows is run. */
  workdir(path: Text): State
  user(name: Text): State
  /** EXPOSE: `8080`, `'53/udp'`, `'8000-8010'`. */
  expose(...ports: readonly (number | Text)[]): State
  volume(...paths: readonly Text[]): State
  entrypoint(command: Command): State
  cmd(command: Command): State
  /** SHELL: what runs the commands that are texts. */
  shell(args: readonly string[]): State
  stopSignal(signal: Text): State
  /** HEALTHCHECK; `false` is NONE. */
  healthcheck(command: Command | false, options?: HealthcheckOptions): State
  /** ONBUILD: an instruction, as a Dockerfile has it, for those who build on the image. */
  onbuild(instruction: string): State
  maintainer(name: string): State
  /** `FROM --platform`: `linux/arm64`, or `expand('$BUILDPLATFORM')`. */
  platform(platform: Text): State
}
