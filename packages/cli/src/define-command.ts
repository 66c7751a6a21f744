import { Args, Command, Flags } from '@oclif/core'
import type { CommandSpec, FlagSpec, Input } from './flag-types.ts'
import { runAction } from './run-action.ts'
import { type Action, processSession } from './session.ts'

/**
 * An oclif command made from the table: oclif finds it, lists it and prints its help. Its arguments are read by the same
 * parser that the fast path uses, so a command line means the same on both.
 */
export function defineCommand<C extends CommandSpec>(spec: C, action: Action<Input<C>>): typeof Command {
  return class TableCommand extends Command {
    static override summary = spec.summary
    static override description = spec.description ?? ''
    static override examples = [...(spec.examples ?? [])]
    static override usage = usageOf(spec)
    static override strict = !spec.args.some((arg) => arg.repeated)
    static override args = Object.fromEntries(spec.args.map((arg) => [arg.name, argumentOf(arg)]))
    static override flags = Object.fromEntries(spec.flags.map((flag) => [flag.name, flagOf(flag)]))

    async run(): Promise<void> {
      process.exitCode = await runAction(spec, action, this.argv, processSession())
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
    summary: flag.summary,
    ...char,
    hidden: flag.refused !== undefined && flag.kind !== 'optional' && flag.name !== 'load',
  }
  if (flag.kind === 'boolean') return Flags.boolean(common)
  const options = flag.options === undefined ? {} : { options: [...flag.options] }
  const value = { helpValue: flag.value ?? 'VALUE' }
  if (flag.kind !== 'texts') return Flags.string({ ...common, ...value, ...options })
  // Without "non greedy" `-t NAME .` would take the context for a second name.
  return Flags.string({ ...common, ...value, multiple: true, multipleNonGreedy: true })
}
