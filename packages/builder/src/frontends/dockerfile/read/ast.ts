/**
 * What the front half of the Dockerfile frontend hands to its back half: the
 * instructions of a file, typed, with their values as written (variables are
 * expanded when a stage is lowered, because their values depend on it).
 */
import type { EscapeToken } from '../expand/types.ts'
import type { SourceRange } from '../../../base/source.ts'
import type { NetworkMode } from '../../../graph/op-specs.ts'

/** Keywords of the language, lower case, as `kind` names them. */
export type Keyword =
  | 'add'
  | 'arg'
  | 'cmd'
  | 'copy'
  | 'entrypoint'
  | 'env'
  | 'expose'
  | 'from'
  | 'healthcheck'
  | 'label'
  | 'maintainer'
  | 'onbuild'
  | 'run'
  | 'shell'
  | 'stopsignal'
  | 'user'
  | 'volume'
  | 'workdir'

/** What a state can do (`frontends/state`) and no text says. */
export type StateKeyword = 'mkdir' | 'rm'

/** A here-document of ADD, COPY or RUN. */
export interface Heredoc {
  /** Delimiter without its quotes; also the file's name in ADD and COPY. */
  readonly name: string
  /** Body, byte for byte as written, leading tabs and line ends included. */
  readonly content: string
  /** Variables in the body are expanded (no part of the delimiter is quoted). */
  readonly expand: boolean
  /** `<<-`: leading tabs of each line are to be removed. */
  readonly chomp: boolean
  /** File descriptor before `<<`, 0 when none is written. */
  readonly fd: number
}

/** One instruction as the line parser reads it: no meaning yet, no error but of syntax. */
export interface RawInstruction {
  /** Keyword as written, such as `RUN` or `Run`. */
  readonly keyword: string
  /** Flags before the arguments, unquoted: `--from=x`. */
  readonly flags: readonly string[]
  /**
   * Arguments as BuildKit's parser splits them: ENV and LABEL give name, value
   * and separator (`=` or empty) in turn; HEALTHCHECK gives CMD or NONE first;
   * shell forms are one argument.
   */
  readonly args: readonly string[]
  /** The arguments were a JSON array of strings. */
  readonly json: boolean
  readonly heredocs: readonly Heredoc[]
  /** The instruction in one line: continuations joined, comments dropped, bodies of heredocs not included. */
  readonly original: string
  /** Text of the comments above, up to the last empty comment; directives are not among them. */
  readonly comments: readonly string[]
  /** From the keyword to the end of the last line, bodies of heredocs included. */
  readonly location: SourceRange
  /** Escape character of the file. */
  readonly escape: EscapeToken
  /** The instruction that ONBUILD defers. */
  readonly child?: RawInstruction
}

/** Places of the parts of an instruction; `rangesOf` computes them when somebody asks. */
export interface InstructionRanges {
  readonly keyword: SourceRange
  /** One range a flag, in the order of `flags`. */
  readonly flags: readonly SourceRange[]
  /** One range a word of the arguments, in the order of `args` (a shell form is one); ENV and LABEL: name, value, name, value… */
  readonly args: readonly SourceRange[]
}

/** A name with its value, of ENV and LABEL; neither is expanded yet. */
export interface KeyValue {
  readonly key: string
  readonly value: string
  /** Written in the old form `KEY value`, without `=`. */
  readonly noDelimiter: boolean
}

/** One name of ARG, with its default if it has one. */
export interface ArgDefinition {
  readonly key: string
  readonly value: string | undefined
  /** Description from a comment `# name description` above. */
  readonly docComment: string
}

/** A file written out in the Dockerfile. */
export interface SourceContent {
  /** Name of the file: the delimiter. */
  readonly path: string
  /** Content, with the tabs of `<<-` removed. */
  readonly data: string
  readonly expand: boolean
}

/** Sources and destination of ADD and COPY, not expanded yet. */
export interface SourcesAndDestination {
  readonly sourcePaths: readonly string[]
  readonly sourceContents: readonly SourceContent[]
  readonly destination: string
}

/** A command line in shell or exec form. */
export interface CommandLine {
  /** Exec form: the arguments. Shell form: one string, or none when nothing is written. */
  readonly args: readonly string[]
  /** Shell form: the image's shell comes before. */
  readonly prependShell: boolean
  /** Heredocs of the command; `data` has its tabs still. */
  readonly files: readonly InlineFile[]
}

export interface InlineFile {
  readonly name: string
  readonly data: string
  readonly chomp: boolean
}

interface InstructionBase<K extends Keyword | StateKeyword> extends RawInstruction {
  readonly kind: K
}

/** What ADD and COPY have in common. */
export interface CopiedFiles extends SourcesAndDestination {
  readonly chown: string
  readonly chmod: string
  readonly link: boolean
  readonly excludePatterns: readonly string[]
}

export interface AddInstruction extends InstructionBase<'add'>, CopiedFiles {
  /** A stage or named context; of a state alone: a Dockerfile adds from its build context. */
  readonly from?: string
  /** Undefined when the flag is not written: git sources may say it themselves. */
  readonly keepGitDir: boolean | undefined
  readonly checksum: string
  /** Undefined when the flag is not written: local archives are unpacked, remote ones are not. */
  readonly unpack: boolean | undefined
}

export interface CopyInstruction extends InstructionBase<'copy'>, CopiedFiles {
  /** Stage, image, index or named context as written; empty for the build context. */
  readonly from: string
  readonly parents: boolean
  /** Of a state alone. */
  readonly includePatterns?: readonly string[]
}

export interface ArgInstruction extends InstructionBase<'arg'> {
  readonly definitions: readonly ArgDefinition[]
}

export interface CmdInstruction extends InstructionBase<'cmd'> {
  readonly command: CommandLine
}

export interface EntrypointInstruction extends InstructionBase<'entrypoint'> {
  readonly command: CommandLine
}

export interface EnvInstruction extends InstructionBase<'env'> {
  readonly pairs: readonly KeyValue[]
}

export interface LabelInstruction extends InstructionBase<'label'> {
  readonly pairs: readonly KeyValue[]
}

export interface ExposeInstruction extends InstructionBase<'expose'> {
  /** The words as written, sorted by bytes. */
  readonly ports: readonly string[]
}

export interface FromInstruction extends InstructionBase<'from'> {
  /** Image, stage or named context as written, not expanded. */
  readonly baseName: string
  /** Stage name in lower case; empty when unnamed. */
  readonly stageName: string
  /** Stage name as written; empty when unnamed. */
  readonly stageNameAsWritten: string
  /** The word `AS` as written; empty when unnamed. */
  readonly asKeyword: string
  /** Value of `--platform`, not expanded; empty when not written. */
  readonly platform: string
}

export interface HealthcheckInstruction extends InstructionBase<'healthcheck'>, HealthcheckOptions {}

/** Times are nanoseconds, 0 when not given. */
export interface HealthcheckOptions {
  /** `['NONE']`, `['CMD', …]` or `['CMD-SHELL', command]`. */
  readonly test: readonly string[]
  readonly intervalNs: number
  readonly timeoutNs: number
  readonly startPeriodNs: number
  readonly startIntervalNs: number
  readonly retries: number
}

export interface MaintainerInstruction extends InstructionBase<'maintainer'> {
  readonly maintainer: string
}

export interface OnbuildInstruction extends InstructionBase<'onbuild'> {
  /** The deferred instruction as text, heredocs put back: what the image config records. */
  readonly expression: string
}

export type SecurityMode = 'sandbox' | 'insecure'

export interface RunInstruction extends InstructionBase<'run'> {
  readonly command: CommandLine
  /** Values of `--mount` as written; `parseMount` reads them with the stage's variables. */
  readonly mountSpecs: readonly string[]
  readonly network: NetworkMode
  readonly security: SecurityMode
  readonly devices: readonly DeviceRequest[]
  /** Names of the flags that are written, without dashes. */
  readonly flagsUsed: readonly string[]
  /** For this step alone; of a state: a Dockerfile has USER, WORKDIR and ENV. */
  readonly overrides?: RunOverrides
}

export interface RunOverrides {
  readonly user?: string | undefined
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
}

/** A `--device` of RUN (Container Device Interface name). */
export interface DeviceRequest {
  readonly name: string
  readonly required: boolean
}

export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh'
export type CacheSharing = 'shared' | 'private' | 'locked'

/** A `--mount` of RUN, read. Fields that are not written are empty or undefined. */
export interface RunMount {
  readonly type: MountType
  readonly from: string
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
  /** Size limit of a tmpfs in bytes, 0 for none. */
  readonly sizeLimitBytes: number
  /** `id` of a cache, secret or ssh mount. */
  readonly id: string
  readonly sharing: CacheSharing | undefined
  readonly required: boolean
  /** Environment variable that shall hold the secret; may be an empty string. */
  readonly env: string | undefined
  readonly mode: number | undefined
  readonly uid: number | undefined
  readonly gid: number | undefined
}

export interface ShellInstruction extends InstructionBase<'shell'> {
  readonly shell: readonly string[]
}

export interface StopsignalInstruction extends InstructionBase<'stopsignal'> {
  readonly signal: string
}

export interface UserInstruction extends InstructionBase<'user'> {
  readonly user: string
}

export interface VolumeInstruction extends InstructionBase<'volume'> {
  readonly volumes: readonly string[]
}

export interface WorkdirInstruction extends InstructionBase<'workdir'> {
  readonly path: string
}

/** A directory, and those above it; of a state alone. */
export interface MkdirInstruction extends InstructionBase<'mkdir'> {
  readonly path: string
  readonly mode: number
  /** `user[:group]`; empty for nobody in particular. */
  readonly owner: string
}

/** The removal of what a wildcard matches, if it is there; of a state alone. */
export interface RmInstruction extends InstructionBase<'rm'> {
  readonly path: string
}

/** Any instruction that stands within a stage. */
export type StageInstruction =
  | AddInstruction
  | ArgInstruction
  | CmdInstruction
  | CopyInstruction
  | EntrypointInstruction
  | EnvInstruction
  | ExposeInstruction
  | HealthcheckInstruction
  | LabelInstruction
  | MaintainerInstruction
  | MkdirInstruction
  | OnbuildInstruction
  | RmInstruction
  | RunInstruction
  | ShellInstruction
  | StopsignalInstruction
  | UserInstruction
  | VolumeInstruction
  | WorkdirInstruction

/** Any instruction; `kind` tells them apart. */
export type Instruction = StageInstruction | FromInstruction

/** A FROM with everything up to the next one. */
export interface Stage {
  /** Place among the stages of the file, from 0. */
  readonly index: number
  /** Name in lower case; empty when unnamed. */
  readonly name: string
  /** Image, stage or named context as written, not expanded. */
  readonly baseName: string
  /** Value of `--platform`, not expanded; empty when not written. */
  readonly platformFlag: string
  readonly from: FromInstruction
  readonly instructions: readonly StageInstruction[]
  /** Place of the FROM. */
  readonly location: SourceRange
  /** Comments above the FROM. */
  readonly comments: readonly string[]
  /** Description from a comment `# name description` above. */
  readonly docComment: string
}

/** A parser directive at the head of the file. */
export interface Directive {
  readonly name: 'syntax' | 'escape' | 'check'
  /** The whole value, trimmed. */
  readonly value: string
  readonly location: SourceRange
}

export interface Directives {
  readonly syntax?: Directive
  readonly escape?: Directive
  readonly check?: Directive
}

/** Something that the parser accepts but build checks report. */
export interface ParseWarning {
  readonly rule: 'NoEmptyContinuation'
  /** Text as BuildKit words it. */
  readonly message: string
  readonly detail: string
  readonly url: string
  readonly location: SourceRange
  /** Places of the empty lines themselves. */
  readonly lines: readonly number[]
}

/** A whole Dockerfile. */
export interface ParsedDockerfile {
  readonly source: SourceRange['file']
  readonly directives: Directives
  readonly escapeToken: EscapeToken
  /** ARGs above the first FROM. */
  readonly metaArgs: readonly ArgInstruction[]
  readonly stages: readonly Stage[]
  readonly warnings: readonly ParseWarning[]
}
