import type { ArgInstruction, ParsedDockerfile, Stage, StageInstruction } from '../read/ast.ts'
import { expandWord } from '../expand/expand.ts'
import { declareGlobalArgs } from './global-args.ts'
import { checkConsistentInstructionCasing } from '../checks/consistent-instruction-casing.ts'
import { checkDuplicateStageName } from '../checks/duplicate-stage-name.ts'
import { checkFromAsCasing } from '../checks/from-as-casing.ts'
import { checkInvalidDefaultArgInFrom } from '../checks/invalid-default-arg-in-from.ts'
import { checkInvalidDefinitionDescription } from '../checks/invalid-definition-description.ts'
import { checkMaintainerDeprecated } from '../checks/maintainer-deprecated.ts'
import { checkNoEmptyContinuation } from '../checks/no-empty-continuation.ts'
import { checkReservedStageName } from '../checks/reserved-stage-name.ts'
import type { Linter } from '../checks/rule.ts'
import { checkStageNameCasing } from '../checks/stage-name-casing.ts'

/** The checks of each instruction by itself. */
export function checkParsed(parsed: ParsedDockerfile, linter: Linter): void {
  checkNoEmptyContinuation(parsed.warnings, linter)
  for (const instruction of parsed.metaArgs) checkArg(instruction, linter.forComments(instruction.comments))
  for (const stage of parsed.stages) {
    checkFrom(stage, linter.forComments(stage.comments))
    for (const instruction of stage.instructions)
      checkInstruction(instruction, linter.forComments(instruction.comments))
  }
}

/** The checks of the file as a whole; `predefined`: the values of platform arguments. */
export function checkStages(parsed: ParsedDockerfile, predefined: ReadonlyMap<string, string>, linter: Linter): void {
  checkStageNames(parsed.stages, linter)
  checkConsistentInstructionCasing(parsed.stages, linter)
  checkDefaults(parsed, predefined, linter)
}

function checkFrom({ from, name, comments, location }: Stage, linter: Linter): void {
  checkStageNameCasing(from, linter)
  checkFromAsCasing(from, linter)
  if (name !== '') checkInvalidDefinitionDescription('FROM', [name], comments, location, linter)
}

function checkInstruction(instruction: StageInstruction, linter: Linter): void {
  if (instruction.kind === 'maintainer') checkMaintainerDeprecated(instruction, linter)
  if (instruction.kind === 'arg') checkArg(instruction, linter)
}

function checkArg({ definitions, comments, location }: ArgInstruction, linter: Linter): void {
  const names = definitions.map((definition) => definition.key)
  checkInvalidDefinitionDescription('ARG', names, comments, location, linter)
}

function checkStageNames(stages: readonly Stage[], linter: Linter): void {
  const earlier = new Set<string>()
  for (const stage of stages) {
    if (stage.name === '') continue
    checkReservedStageName(stage, linter)
    checkDuplicateStageName(stage, earlier, linter)
    earlier.add(stage.name)
  }
}

// What cannot be expanded here fails the build itself, with the same message.
function checkDefaults(
  { metaArgs, stages, escapeToken: escape }: ParsedDockerfile,
  predefined: ReadonlyMap<string, string>,
  linter: Linter,
): void {
  try {
    const { values } = declareGlobalArgs(predefined, metaArgs, new Map(), escape)
    for (const stage of stages)
      checkInvalidDefaultArgInFrom(stage, expandWord(stage.baseName, values, { escape }).text, linter)
  } catch {
    return
  }
}
