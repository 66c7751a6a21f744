import type { CommandSpec, Input } from './flag-types.ts'
import { parseArgv } from './parse-argv.ts'
import { exitStatusOf, renderError } from './render/errors.ts'
import type { Action, Session } from './session.ts'

/** Parses, acts, and turns whatever is thrown into words and an exit status. */
export async function runAction<C extends CommandSpec>(
  spec: C,
  action: Action<Input<C>>,
  argv: readonly string[],
  session: Session,
): Promise<number> {
  try {
    return await action(parseArgv(spec, argv), session)
  } catch (error) {
    session.stderr.write(renderError(error))
    return exitStatusOf(error)
  }
}
