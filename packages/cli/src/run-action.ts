import type { CommandSpec, Input } from './flag-types.ts'
import { parseArgv } from './parse-argv.ts'
import { exitStatusOf, renderError } from './render/errors.ts'
import type { Action, CommandIo } from './command-io.ts'
import { UsageError } from './usage-error.ts'

/**
 * Parses, acts, and turns whatever is thrown into words and an exit status.
 * @param calledAs the word that was typed for the command, where it is none of ours: `bud`
 */
export async function runAction<C extends CommandSpec>(
  spec: C,
  action: Action<Input<C>>,
  argv: readonly string[],
  io: CommandIo,
  calledAs?: string,
): Promise<number> {
  try {
    const status = await action(await read(spec, argv, calledAs), io)
    return status === 0 ? 0 : await foreignStatus(calledAs, undefined, status)
  } catch (error) {
    io.stderr.write(renderError(error, io.isColored))
    return await foreignStatus(calledAs, error, exitStatusOf(error))
  }
}

async function foreignStatus(calledAs: string | undefined, error: unknown, status: number): Promise<number> {
  if (calledAs === undefined) return status
  return (await import('./foreign/programs.ts')).statusOf(calledAs, error) ?? status
}

/** What is wrong as a command line of ours may be one of another program: what is known of those is loaded only then. */
async function read<C extends CommandSpec>(
  spec: C,
  argv: readonly string[],
  calledAs: string | undefined,
): Promise<Input<C>> {
  try {
    if (calledAs === undefined) return parseArgv(spec, argv)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
  }
  const { readForeign } = await import('./foreign/read.ts')
  return readForeign(spec, argv, calledAs)
}
