/** A stage while it is lowered. */
import type { Platform } from '../../../oci/types.ts'
import type { SourceRange } from '../../../base/source.ts'
import type { Stage, StageInstruction } from '../read/ast.ts'
import { blankImage, type DraftImage } from './image-config.ts'
import { type BuildState, createState } from './build-state.ts'
import type { Outline } from './outline.ts'

/** An instruction with the stages that it reads. */
export interface StageCommand {
  readonly instruction: StageInstruction
  /** Of COPY the one that `--from` names; of RUN one for each mount. */
  readonly sources: readonly StageState[]
  readonly isTrigger: boolean
}

/** Where an instruction that may stand once was seen. */
export interface SeenOnce {
  cmd: SourceRange | undefined
  entrypoint: SourceRange | undefined
  healthcheck: SourceRange | undefined
}

export interface StageState {
  /** Undefined for an image that COPY or a mount names: a stage without instructions. */
  readonly stage: Stage | undefined
  readonly location: SourceRange
  /** As written, variables expanded; canonical with digest once it is resolved. */
  baseName: string
  /** As it is shown before instructions: `build`, `stage-1`; empty when it is the only one. */
  displayName: string
  readonly name: string
  /** The stage that this one builds on. */
  base: StageState | undefined
  /** The image that this one builds on was resolved and says how many entries its history has. */
  baseHistoryLength: number
  image: DraftImage
  state: BuildState
  platform: Platform | undefined
  /** Specifier of the named context that replaces this stage. */
  namedContext: NamedContextUse | undefined
  readonly dependencies: Map<StageState, StageInstruction>
  commands: StageCommand[]
  /** Each ARG with the value that it has there, in the order of their first appearance. */
  readonly arguments: Map<string, string | undefined>
  /** Paths of the build context that the stage reads. */
  readonly contextPaths: Set<string>
  /** Paths of this stage that anybody reads; shared with the stage it builds on. */
  paths: Set<string>
  isResolved: boolean
  isDispatched: boolean
  areTriggersTaken: boolean
  ignoreCache: boolean
  commandIndex: number
  commandTotal: number
  isInTrigger: boolean
  isWorkdirSet: boolean
  readonly seen: SeenOnce
  outline: Outline
}

export interface NamedContextUse {
  readonly name: string
  readonly nameWithPlatform: string
  readonly specifier: string
  readonly platform: Platform
}

export interface StageStateOptions {
  readonly stage?: Stage
  readonly location: SourceRange
  readonly baseName: string
  readonly displayName: string
  readonly outline: Outline
}

export function createStageState(options: StageStateOptions): StageState {
  return {
    stage: options.stage,
    location: options.location,
    baseName: options.baseName,
    displayName: options.displayName,
    name: options.stage?.name ?? '',
    base: undefined,
    baseHistoryLength: 0,
    image: blankImage(),
    state: createState(undefined),
    platform: undefined,
    namedContext: undefined,
    dependencies: new Map(),
    commands: [],
    arguments: new Map(),
    contextPaths: new Set(),
    paths: new Set(),
    isResolved: false,
    isDispatched: false,
    areTriggersTaken: false,
    ignoreCache: false,
    commandIndex: 0,
    commandTotal: 0,
    isInTrigger: false,
    isWorkdirSet: false,
    seen: { cmd: undefined, entrypoint: undefined, healthcheck: undefined },
    outline: options.outline,
  }
}
