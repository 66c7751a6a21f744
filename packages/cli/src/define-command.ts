import type { CommandSpec, Input } from './flag-types.ts'
import { runAction } from './run-action.ts'
import { type Action, processSession } from './session.ts'

/** A command that can be run: its row of the table and what it does. */
export interface TableCommand {
  /** Resolves to the exit status. */
  run(argv: readonly string[]): Promise<number>
}

export function defineCommand<C extends CommandSpec>(spec: C, action: Action<Input<C>>): TableCommand {
  return { run: (argv) => runAction(spec, action, argv, processSession()) }
}
