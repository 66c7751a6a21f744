import { Args, Command, Flags } from '@oclif/core'
import { commands } from './commands/list.ts'
import type { CommandSpec, FlagSpec } from './flag-types.ts'
import { specs } from './flags.ts'

/** Every row of the table as a command of oclif, by id, as `debug:llb`; the build has it write their help. */
export const COMMANDS: Readonly<Record<string, typeof Command>> = Object.fromEntries(
  specs.map((spec) => [spec.name.replaceAll(' ', ':'), commandOf(spec)]),
)

/** Flags that only help with `--all` lists. */
export const RARE_GROUP = 'Compatibility'

/** Arguments are read by our own parser, so a command line means the same whoever starts the command. */
function commandOf(spec: CommandSpec): typeof Command {
  return class TableCommand extends Command {
    static override summary = spec.summary
    static override description = spec.description ?? ''
    static override examples = [...(spec.examples ?? [])]
    static override usage = usageOf(spec)
    static override strict = !spec.args.some((arg) => arg.repeated)
    static override args = Object.fromEntries(spec.args.map((arg) => [arg.name, argumentOf(arg)]))
    static override flags = Object.fromEntries(spec.flags.map((flag) => [flag.name, flagOf(flag)]))

    async run(): Promise<void> {
      const command = await commands[spec.name]!()
      process.exitCode = await command.run(this.argv)
    }
  }
}

/** `build [OPTIONS] CONTEXT`; the flags follow in the help anyway. */
function usageOf(spec: CommandSpec): string {
  const args = spec.args.map((arg) => (arg.required ? arg.name : `[${arg.name}]`) + (arg.repeated ? '...' : ''))
  return [spec.name, ...(spec.flags.length > 0 ? ['[OPTIONS]'] : []), ...args].join(' ')
}

function argumentOf(arg: CommandSpec['args'][number]): ReturnType<typeof Args.string> {
  // oclif would read a missing argument from standard input.
  return Args.string({ description: arg.summary, required: arg.required, ignoreStdin: true })
}

function flagOf(flag: FlagSpec): Command.Flag {
  const char = flag.char === undefined ? {} : { char: flag.char as 'a' }
  const common = {
    summary: flag.summary ?? `refused: ${flag.refused?.message}; ${flag.refused?.hint}`,
    ...char,
    ...(flag.group === undefined ? {} : { helpGroup: flag.group }),
  }
  if (flag.kind === 'boolean') return Flags.boolean(common)
  const options = flag.options === undefined ? {} : { options: [...flag.options] }
  const value = { helpValue: flag.value ?? 'VALUE' }
  if (flag.kind !== 'texts') return Flags.string({ ...common, ...value, ...options })
  // Without "non greedy" `-t NAME .` would take the context for a second name.
  return Flags.string({ ...common, ...value, multiple: true, multipleNonGreedy: true })
}
