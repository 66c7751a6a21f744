import { DEFAULT_PATH } from './image-config.ts'
import { inherit } from './resolve.ts'
import { setVariable } from './build-state.ts'
import { createInstructionContext, type FileContext } from './context.ts'
import { lowerInstruction } from './instructions/list.ts'
import { guarded } from './locate.ts'
import type { StageCommand, StageState } from './stage-state.ts'
import type { StageTable } from './stage-table.ts'
import { setUser } from './instructions/user.ts'
import { setDirectory } from './instructions/workdir.ts'

/**
 * Applies the instructions of all stages that are needed, in the order of the file, and collects what they read of the
 * build context.
 */
export function dispatchStages(
  table: StageTable,
  reachable: ReadonlySet<StageState>,
  contextPaths: Set<string>,
  context: FileContext,
): void {
  const { options } = context
  for (const stage of table.list) {
    if (options.allStages !== true && (!reachable.has(stage) || stage.phase.isDispatched)) continue
    beginStage(stage, context)
    for (const command of stage.commands) {
      stage.steps.isInTrigger = command.isTrigger
      guarded(command.instruction.location, context.onError, () => lowerCommand(stage, command, context))
    }
    for (const path of stage.contextPaths) contextPaths.add(path)
  }
}

function lowerCommand(stage: StageState, command: StageCommand, context: FileContext): void {
  const { history } = stage.image
  const known = history.length
  lowerInstruction(createInstructionContext(context, stage, command))
  for (const entry of history.slice(known)) context.budget.spend(entry.created_by?.length ?? 0)
}

function beginStage(stage: StageState, { options }: FileContext): void {
  inherit(stage)
  stage.phase.isDispatched = true
  stage.platform ??= options.targetPlatform
  const { config } = stage.image
  if (options.amend?.inheritLabels === false) config.labels.clear()
  if (!config.env.has('PATH') && stage.platform.os !== 'windows') config.env.set('PATH', DEFAULT_PATH)
  for (const [name, value] of config.env) setVariable(stage.state, name, value ?? '')
  if (options.hostname !== undefined && options.hostname !== '') stage.state.hostname = options.hostname
  if (config.workingDir !== '') setDirectory(stage, config.workingDir)
  if (config.user !== '') setUser(stage, config.user)
  stage.state.network = options.networkMode
}
