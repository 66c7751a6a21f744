import type { CommandSpec, Input } from './flag-types.ts'
import { parseArgv, UnknownFlag } from './parse-argv.ts'
import { exitStatusOf, renderError } from './render/errors.ts'
import type { Action, CommandIo } from './command-io.ts'

/** Parses, acts, and turns whatever is thrown into words and an exit status. */
export async function runAction<C extends CommandSpec>(
  spec: C,
  action: Action<Input<C>>,
  argv: readonly string[],
  io: CommandIo,
): Promise<number> {
  try {
    return await action(await read(spec, argv), io)
  } catch (error) {
    io.stderr.write(renderError(error, io.isColored))
    return exitStatusOf(error)
  }
}

/** The flags of other builders are known to `build`; their table is loaded when one is met. */
async function read<C extends CommandSpec>(spec: C, argv: readonly string[]): Promise<Input<C>> {
  try {
    return parseArgv(spec, argv)
  } catch (error) {
    if (!(error instanceof UnknownFlag) || spec.name !== 'build') throw error
    const { ofOtherBuilders } = await import('./foreign/translate.ts')
    return parseArgv(spec, argv, ofOtherBuilders)
  }
}
