import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Config } from '@oclif/core'
import { build, specs } from './flags.ts'
import { renderError } from './render/errors.ts'
import { runAction } from './run-action.ts'
import { processSession } from './session.ts'
import { nearest, UsageError } from './usage-error.ts'

/** Runs the command line `tsbuild ARGV` and ends the process with its exit status. */
export async function main(argv: readonly string[]): Promise<void> {
  let words: readonly string[]
  try {
    words = withCommand(argv)
  } catch (error) {
    process.stderr.write(renderError(error))
    process.exit((error as UsageError).exitCode)
  }
  if (words[0] === 'build' && !asksForHelp(words)) {
    // The one command whose start-up counts: oclif, which is twice Node's own start, is not loaded for it.
    const { buildAction } = await import('./build/action.ts')
    const status = await runAction(build, buildAction, words.slice(1), processSession())
    // A signal has said its own status already (143 for SIGTERM); what was done in time is no failure.
    process.exit(status === 0 ? 0 : (process.exitCode ?? status))
  }
  await runOclif(words)
  process.exit(process.exitCode)
}

/** `tsbuild -t x .` is `tsbuild build -t x .`: what is no command and looks like a context or a flag is a build. */
export function withCommand(
  argv: readonly string[],
  exists: (path: string) => boolean = existsSync,
): readonly string[] {
  const [first, second] = argv
  if (first === undefined) return ['--help']
  if (first === 'help') return [...argv.slice(1), '--help']
  if (helpWords.includes(first)) return argv
  const subcommands = specs
    .filter((spec) => spec.name.startsWith(`${first} `))
    .map((spec) => spec.name.slice(first.length + 1))
  if (subcommands.length > 0) {
    const isKnown = second === undefined || second.startsWith('-') || subcommands.includes(second)
    if (!isKnown) throw unknownCommand(second, `tsbuild ${first}`, subcommands)
    return second === undefined ? [first, '--help'] : argv
  }
  if (topLevel.includes(first)) return argv
  if (first.startsWith('-') || /[./:]/.test(first) || exists(first)) return ['build', ...argv]
  throw unknownCommand(first, 'tsbuild', topLevel)
}

const topLevel = [...new Set(specs.map((spec) => spec.name.split(' ')[0] ?? ''))]
const helpWords = ['--help', '-h', '--version', '-v']

function unknownCommand(word: string, parent: string, known: readonly string[]): UsageError {
  const close = nearest(word, known)
  const hint = close === undefined ? `${parent} --help lists the commands` : `did you mean ${parent} ${close}?`
  return new UsageError(
    `unknown command: ${parent === 'tsbuild' ? word : `${parent.slice('tsbuild '.length)} ${word}`}`,
    { hint, exitCode: 1 },
  )
}

function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end < 0 ? undefined : end).some((word) => word === '--help' || word === '-h')
}

async function runOclif(words: readonly string[]): Promise<void> {
  const { Config, flush, handle, run, settings } = await import('@oclif/core')
  // oclif would look for a TypeScript runner when NODE_ENV says development or test.
  settings.enableAutoTranspile = false
  // Without it oclif asks for the user's entry in passwd, and in a container there may be none.
  process.env['SHELL'] ||= '/bin/sh'
  const root = fileURLToPath(new URL('..', import.meta.url))
  try {
    if (helpWords.includes(words[0] ?? '') || asksForHelp(words)) await run([...words], { root })
    else await runCommand(await Config.load({ root }), words)
    await flush()
  } catch (error) {
    await handle(error as Error)
  }
}

/** The command is known here: oclif's own search would take an argument for the name of a subcommand. */
async function runCommand(config: Config, words: readonly string[]): Promise<void> {
  const length = specs.some((spec) => spec.name === words.slice(0, 2).join(' ')) ? 2 : 1
  await config.runCommand(words.slice(0, length).join(':'), words.slice(length))
}
