import { asksForHelp, mayBeForeign, withCommand } from './command-words.ts'
import { commands } from './commands/list.ts'
import { wantsColor } from './render/color.ts'
import { renderError } from './render/errors.ts'
import { forTerminal } from './render/terminal-text.ts'
import { drainOutputs, standardError, standardOutput } from './process-io.ts'
import type { UsageError } from './usage-error.ts'

/**
 * Runs the command line `tsbuild ARGV` and ends the process with its exit status.
 * @param program another one, by whose name a link has called this: `executor`, `buildah`, `podman`
 */
export async function main(argv: readonly string[], program?: string): Promise<void> {
  let words: readonly string[]
  let calledAs: string | undefined
  try {
    if (program === undefined) {
      const isForeign = mayBeForeign(argv)
      const foreign = isForeign ? (await import('./foreign/commands.ts')).foreignCommands : []
      words = withCommand(argv, undefined, foreign)
      // A directory of such a name has got a command before it instead.
      calledAs = isForeign && words.length <= argv.length ? argv[0] : undefined
    } else {
      const { asProgram } = await import('./foreign/programs.ts')
      ;({ words, calledAs } = asProgram(program, argv, process.env, withCommand))
    }
  } catch (error) {
    const stderr = standardError()
    stderr.write(forTerminal(renderError(error, wantsColor(process.env, stderr.isTTY))))
    return exit(program === 'executor' ? 1 : program === undefined ? (error as UsageError).exitCode : 125)
  }
  const names = [1, 2, 3].map((count) => words.slice(0, count).join(' '))
  const name = names.find((one) => commands[one] !== undefined) ?? names[1]!
  const load = commands[name]
  if (load !== undefined && !asksForHelp(words)) {
    const command = await load()
    const status = await command.run(words.slice(name.split(' ').length), calledAs)
    // A signal has said its own status already (143 for SIGTERM); what was done in time is no failure.
    return exit(status === 0 ? 0 : (process.exitCode ?? status))
  }
  const stdout = standardOutput()
  const { helpOf, version } = await import('./help/answer.ts')
  const asked = load === undefined ? words.filter((word) => !word.startsWith('-')).join(' ') : name
  const help = (which: string): string | undefined => helpOf(which, words.includes('--all'), stdout.columns)
  stdout.write(words[0] === '--version' ? version() : (help(asked) ?? help('') ?? ''))
  return exit(0)
}

async function exit(status: number | string | null | undefined): Promise<never> {
  await drainOutputs()
  process.exit(status)
}
