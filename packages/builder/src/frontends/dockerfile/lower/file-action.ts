import type { FileAction } from '../../../graph/op-specs.ts'
import { environmentOf } from './build-state.ts'
import type { InstructionContext } from './context.ts'
import { commandName, metadataFor, nameInStage } from './names.ts'
import { createInputList, edgeOf } from './pending.ts'

/** One action on what the stage has, or on nothing; `input` is where names of owners are looked up. */
export function addFileAction(context: InstructionContext, actionOn: (input: number) => FileAction['action']): void {
  const { stage, options, location, command, escape } = context
  const env = environmentOf(stage.state)
  const name = nameInStage(stage, commandName(command.instruction.original, env, { escape }), {
    multiPlatform: options.multiPlatform === true,
    platform: stage.platform ?? options.targetPlatform,
    env,
  })
  const before = stage.state.output
  const metadata = metadataFor(name, location)
  stage.state.output = context.graph.add(() => {
    const inputs = createInputList()
    const input = inputs.add(before)
    const actions = [{ input, secondaryInput: -1, output: 0, action: actionOn(input) }]
    return edgeOf({ kind: 'file', actions }, inputs.edges, undefined, metadata)
  })
}
