import type { CommandSpec, Input } from './flag-types.ts'
import { keepHeapSmall } from './heap.ts'
import { runAction } from './run-action.ts'
import { type Action } from './command-io.ts'
import { processIo } from './process-io.ts'

/** A command that can be run: its row of the table and what it does. */
export interface TableCommand {
  /**
   * Resolves to the exit status.
   * @param calledAs the word that was typed for the command, where it is none of ours: `bud`
   */
  run(argv: readonly string[], calledAs?: string): Promise<number>
}

export function defineCommand<C extends CommandSpec>(spec: C, action: Action<Input<C>>): TableCommand {
  return { run: (argv, calledAs) => runAction(spec, guarded(action), argv, processIo(), calledAs) }
}

/** Longer than an interrupted action takes that is not stuck. */
const graceSeconds = 2

/** A signal ends the process also while JavaScript computes. Where the addon is missing, the action says so itself. */
function guarded<Input>(action: Action<Input>): Action<Input> {
  return async (input, io) => {
    keepHeapSmall()
    const { guardSignals, isTsOciError } = await import('@ts-oci/builder')
    try {
      guardSignals(graceSeconds)
    } catch (error) {
      if (!isTsOciError(error)) throw error
    }
    return action(input, io)
  }
}
