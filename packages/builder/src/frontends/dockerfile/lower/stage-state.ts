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

/** What the file says of a stage: known when its FROM has been read, and never another. */
export interface StageText {
  /** Undefined for an image that COPY or a mount names: a stage without instructions. */
  readonly stage: Stage | undefined
  readonly location: SourceRange
  readonly name: string
  /** Its steps run anew on purpose. */
  readonly ignoreCache: boolean
}

/** What a stage builds on and reads; settled when bases are resolved, before any instruction is applied. */
export interface StageLinks {
  /** As written, variables expanded; canonical with digest once it is resolved. */
  baseName: string
  /** The stage that this one builds on. */
  base: StageState | undefined
  /** Specifier of the named context that replaces this stage. */
  namedContext: NamedContextUse | undefined
  readonly dependencies: Map<StageState, StageInstruction>
  commands: StageCommand[]
  readonly phase: StagePhase
}

/** How far a stage has come. */
export interface StagePhase {
  isResolved: boolean
  areTriggersTaken: boolean
  isDispatched: boolean
}

/** What instructions make of a stage, and the next stage begins with that builds on it (`inherit`). */
export interface StageResult {
  image: DraftImage
  /** The image that this one builds on was resolved and says how many entries its history has. */
  baseHistoryLength: number
  state: BuildState
  platform: Platform | undefined
  /** Each ARG with the value that it has there, in the order of their first appearance. */
  readonly arguments: Map<string, string | undefined>
  /** Paths of this stage that anybody reads; shared with the stage it builds on. */
  paths: Set<string>
  isWorkdirSet: boolean
}

/** What a step is called after. */
export interface StageNaming {
  /** As it is shown before instructions: `build`, `stage-1`; empty when it is the only one. */
  displayName: string
  readonly steps: {
    total: number
    /** Of the step that was named last, from 1. */
    index: number
    isInTrigger: boolean
  }
}

export interface StageState extends StageText, StageLinks, StageResult, StageNaming {
  /** Paths of the build context that the stage reads. */
  readonly contextPaths: Set<string>
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
  readonly ignoreCache?: boolean
  readonly outline: Outline
}

export function createStageState(options: StageStateOptions): StageState {
  return {
    stage: options.stage,
    location: options.location,
    name: options.stage?.name ?? '',
    ignoreCache: options.ignoreCache ?? false,
    baseName: options.baseName,
    base: undefined,
    namedContext: undefined,
    dependencies: new Map(),
    commands: [],
    phase: { isResolved: false, areTriggersTaken: false, isDispatched: false },
    image: blankImage(),
    baseHistoryLength: 0,
    state: createState(undefined),
    platform: undefined,
    arguments: new Map(),
    paths: new Set(),
    isWorkdirSet: false,
    displayName: options.displayName,
    steps: { total: 0, index: 0, isInTrigger: false },
    contextPaths: new Set(),
    seen: { cmd: undefined, entrypoint: undefined, healthcheck: undefined },
    outline: options.outline,
  }
}
