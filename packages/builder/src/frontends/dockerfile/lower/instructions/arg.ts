import type { ArgDefinition, ArgInstruction } from '../../read/ast.ts'
import { checkSecretsUsedInArgOrEnv } from '../../checks/secrets-used-in-arg-or-env.ts'
import { addHistory } from '../image-config.ts'
import { setVariable } from '../build-state.ts'
import { type InstructionContext, type Lowering, NON_VARIABLE_ARGS } from '../context.ts'

/** What the user says wins over the default; without either the value of the ARG above the first FROM counts. */
export const lowerArg: Lowering<ArgInstruction> = (context, instruction) => {
  const shown = instruction.definitions.map((definition) => declare(context, definition))
  addHistory(context.stage.image, `ARG ${shown.join(' ')}`, false, context.epoch)
}

function declare(context: InstructionContext, definition: ArgDefinition): string {
  const { stage, location, linter, buildArgs, globalArgs } = context
  const { key } = definition
  checkSecretsUsedInArgOrEnv('ARG', key, location, linter)
  const given = buildArgs.get(key)
  const isInherited = given === undefined && definition.value === undefined && globalArgs.has(key)
  const value = given ?? (definition.value === undefined ? globalArgs.get(key) : context.expand(definition.value))
  if (value !== undefined && !NON_VARIABLE_ARGS.has(key)) setVariable(stage.state, key, value)
  if (!isInherited) {
    const argument = { ...definition, value }
    stage.outline.arguments.set(key, { definition: argument, value: value ?? '', dependencies: new Set(), location })
  }
  stage.outline.used.add(key)
  stage.arguments.set(key, value)
  return value === undefined ? key : `${key}=${value}`
}
