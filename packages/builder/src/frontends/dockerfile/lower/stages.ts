/** From the stages of a file to stages that are ready to be lowered: names, platforms, dependencies, bases. */
import { BuilderError } from '../../../base/errors.ts'
import { formatReference, parseReference, withDefaultTag } from '../../../oci/reference.ts'
import { normalizePlatform, parsePlatform } from '../../../oci/platform.ts'
import type { Platform } from '../../../oci/types.ts'
import type { SourceRange } from '../../../base/source.ts'
import type { Stage, StageInstruction } from '../read/ast.ts'
import type { EscapeToken } from '../expand/types.ts'
import { checkFromPlatformFlagConstDisallowed } from '../checks/from-platform-flag-const-disallowed.ts'
import { checkRedundantTargetPlatform } from '../checks/redundant-target-platform.ts'
import type { Linter } from '../checks/rule.ts'
import { checkUndefinedArgInFrom } from '../checks/undefined-arg-in-from.ts'
import { Complaint } from '../expand/complaint.ts'
import { createEnvironment, expandWord } from '../expand/expand.ts'
import { refuseCycles } from './cycles.ts'
import { type ErrorSink, guarded } from './locate.ts'
import { findNamedContext } from './named-contexts.ts'
import { copyOutline, createOutline, type Outline } from './outline.ts'
import { createStageTable, type StageTable } from './stage-table.ts'
import { createStageState, type StageCommand, type StageState } from './stage-state.ts'
import type { LowerOptions } from '../../types.ts'
import { mountSource } from '../read/mount.ts'
import { findSuggestion, withSuggestion } from '../../../base/suggest.ts'
import { lowerCase, quote } from '../../../base/text.ts'

export const SCRATCH = 'scratch'

export interface StageContext {
  readonly options: LowerOptions
  readonly globalArgs: ReadonlyMap<string, string>
  readonly escape: EscapeToken
  readonly linter: Linter
  readonly outline: Outline
  readonly onError?: ErrorSink | undefined
}

/**
 * Expands what stands behind each FROM and finds the stages that build on each other.
 * @throws BuilderError
 */
export function createStages(stages: readonly Stage[], context: StageContext): StageTable {
  const table = createStageTable()
  for (const stage of stages) {
    guarded(stage.location, context.onError, () => {
      const state = createStage(stage, context)
      table.add(state)
      if (state.namedContext !== undefined) state.base = undefined
      else state.steps.total = countSteps(stage, state.base !== undefined)
    })
  }
  return table
}

function createStage(stage: Stage, context: StageContext): StageState {
  const { globalArgs, escape, outline, options } = context
  const { location } = stage
  const linter = context.linter.forComments(stage.comments)
  const declared = new Set([...outline.arguments.keys(), ...globalArgs.keys()])
  const expansion = expandWord(stage.baseName, globalArgs, { escape })
  checkUndefinedArgInFrom(expansion.unmatched, declared, location, linter)
  if (expansion.text === '') throw new Complaint(`base name (${stage.baseName}) should not be blank`)
  const state = createStageState({
    stage,
    location,
    baseName: expansion.text,
    displayName: stage.name || `stage-${stage.index}`,
    ignoreCache: ignoresCache(options, stage.name),
    outline: copyOutline(outline),
  })
  const used = new Set(expansion.matched)
  if (stage.platformFlag !== '') state.platform = readPlatform(stage, { ...context, linter }, declared, used)
  if (stage.name !== '')
    state.namedContext = findNamedContext(options, stage.name, state.platform ?? options.targetPlatform)
  if (state.namedContext === undefined) for (const name of used) state.outline.used.add(name)
  return state
}

function readPlatform(stage: Stage, context: StageContext, declared: ReadonlySet<string>, used: Set<string>): Platform {
  const { globalArgs, escape, linter } = context
  const { location, platformFlag } = stage
  const expansion = expandWord(platformFlag, globalArgs, { escape })
  checkUndefinedArgInFrom(expansion.unmatched, declared, location, linter)
  checkRedundantTargetPlatform(platformFlag, expansion, globalArgs.get('TARGETPLATFORM'), location, linter)
  checkFromPlatformFlagConstDisallowed(stage.name, expansion, location, linter)
  const suggestion = suggestVariable(expansion.unmatched, [...globalArgs.keys()])
  if (expansion.text === '') throw new Complaint(`empty platform value from expression ${platformFlag}${suggestion}`)
  for (const name of expansion.matched) used.add(name)
  try {
    return parsePlatform(expansion.text)
  } catch (error) {
    throw new Complaint(`failed to parse platform ${platformFlag}: ${(error as Error).message}${suggestion}`)
  }
}

function suggestVariable(unmatched: ReadonlySet<string>, known: readonly string[]): string {
  for (const name of unmatched) {
    const suggestion = findSuggestion(name, known, { caseSensitive: true })
    if (suggestion) return ` (did you mean ${suggestion}?)`
  }
  return ''
}

const STEPS: ReadonlySet<StageInstruction['kind']> = new Set(['add', 'copy', 'mkdir', 'rm', 'run', 'workdir'])

function countSteps(stage: Stage, buildsOnStage: boolean): number {
  const base = stage.baseName !== SCRATCH && !buildsOnStage ? 1 : 0
  return base + stage.instructions.filter((instruction) => STEPS.has(instruction.kind)).length
}

function ignoresCache({ noCache, noCacheFilter }: LowerOptions, name: string): boolean {
  return noCache || noCacheFilter.some((wanted) => lowerCase(wanted) === lowerCase(name))
}

/** The stage that is to be built. @throws BuilderError OCI_STAGE_NOT_FOUND */
export function findTarget(table: StageTable, target: string | undefined): StageState {
  if (target === undefined || target === '') return table.list.at(-1)!
  const found = table.find(target)
  if (found !== undefined) return found
  // Not those that only messages call `stage-0`: a stage without a name cannot be a target.
  const names = table.list.map((stage) => stage.name).filter((name) => name !== '')
  const message = withSuggestion(`target stage ${quote(target)} could not be found`, target, names, {
    caseSensitive: true,
  })
  throw new BuilderError('OCI_STAGE_NOT_FOUND', message, {
    hint:
      names.length === 0
        ? 'no stage has a name: FROM IMAGE AS NAME gives one'
        : `stages with a name: ${names.join(', ')}`,
    details: { target },
  })
}

/**
 * Finds out which stages each instruction reads; images that are no stage are added as stages without instructions.
 * @throws BuilderError for a stage that cannot be named, and for circles.
 */
export function connectStages(table: StageTable, onError?: ErrorSink): void {
  for (const stage of table.list) {
    const instructions = stage.stage?.instructions ?? []
    for (const instruction of instructions) {
      guarded(instruction.location, onError, () => stage.commands.push(connect(table, stage, instruction, false)))
    }
  }
  refuseCycles(table.list)
  const [only, ...others] = table.list
  if (only !== undefined && others.length === 0) only.displayName = ''
}

/** The stages that an instruction reads, noted as dependencies of its stage. */
export function connect(
  table: StageTable,
  stage: StageState,
  instruction: StageInstruction,
  isTrigger: boolean,
): StageCommand {
  const sources = sourcesOf(table, instruction)
  for (const source of sources) stage.dependencies.set(source, instruction)
  return { instruction, sources, isTrigger }
}

const NO_VARIABLES = createEnvironment([])
const INDEX = /^[+-]?[0-9]+$/

function sourcesOf(table: StageTable, instruction: StageInstruction): StageState[] {
  if (instruction.kind === 'run') {
    return instruction.mountSpecs.map((spec) => {
      const from = mountSource(spec) || SCRATCH
      return table.find(from) ?? addImage(table, from, instruction.location)
    })
  }
  if (instruction.kind !== 'copy' && instruction.kind !== 'add') return []
  const { from = '' } = instruction
  if (from === '') return []
  if (expandWord(from, NO_VARIABLES).text !== from) {
    throw new Complaint(
      'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround',
    )
  }
  if (!INDEX.test(from)) return [table.find(from) ?? addImage(table, from, instruction.location)]
  const stage = table.at(Number(from))
  if (stage === undefined) throw new Complaint(`invalid stage index ${Number(from)}`)
  return [stage]
}

/** An image that an instruction names: a stage of its own each time. */
function addImage(table: StageTable, name: string, location: SourceRange): StageState {
  const image = createStageState({ location, baseName: name, displayName: '', outline: createOutline() })
  table.add(image)
  return image
}

/** The canonical name of a base. @throws BuilderError */
export function canonicalBaseName(name: string): string {
  try {
    return formatReference(withDefaultTag(parseReference(name)))
  } catch (error) {
    throw new Complaint(`failed to parse stage name ${quote(name)}: ${(error as Error).message}`)
  }
}

/** Of the platforms that can be built here, the one that an image is for. */
export function detectPlatform(image: Platform | undefined, target: Platform, buildPlatform: Platform): Platform {
  if (image === undefined || (target.os === image.os && target.architecture === image.architecture)) return target
  const isBuild = buildPlatform.os === image.os && buildPlatform.architecture === image.architecture
  return isBuild ? normalizePlatform(buildPlatform) : target
}
