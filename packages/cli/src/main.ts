import { fileURLToPath } from 'node:url'
import { mayBeForeign, withCommand } from './command-words.ts'
import { commands } from './commands/list.ts'
import { renderError } from './render/errors.ts'
import { forTerminal } from './render/terminal-text.ts'
import type { UsageError } from './usage-error.ts'

/** Runs the command line `tsbuild ARGV` and ends the process with its exit status. */
export async function main(argv: readonly string[]): Promise<void> {
  let words: readonly string[]
  try {
    const foreign = mayBeForeign(argv) ? (await import('./foreign/commands.ts')).foreignCommands : []
    words = withCommand(argv, undefined, foreign)
  } catch (error) {
    process.stderr.write(forTerminal(renderError(error)))
    return exit((error as UsageError).exitCode)
  }
  const name = commands[words[0] ?? ''] === undefined ? words.slice(0, 2).join(' ') : (words[0] ?? '')
  const load = commands[name]
  if (load !== undefined && !asksForHelp(words)) {
    const command = await load()
    const status = await command.run(words.slice(name.split(' ').length))
    // A signal has said its own status already (143 for SIGTERM); what was done in time is no failure.
    return exit(status === 0 ? 0 : (process.exitCode ?? status))
  }
  // `tsbuild --help | head -1`: oclif would wait for ever for a reader that is gone.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  // For help and versions only: it takes twice as long to start as Node itself.
  await runOclif(words)
  return exit(process.exitCode)
}

/** Ends the process when all that it said has left it: what a slow reader of a pipe has not taken yet would be lost. */
async function exit(status: number | string | null | undefined): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength === 0) continue
    await new Promise<void>((done) => {
      stream.write('', () => done())
    })
  }
  process.exit(status)
}

function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end < 0 ? undefined : end).some((word) => word === '--help' || word === '-h')
}

async function runOclif(words: readonly string[]): Promise<void> {
  const { flush, handle, run, settings } = await import('@oclif/core')
  // oclif would look for a TypeScript runner when NODE_ENV says development or test.
  settings.enableAutoTranspile = false
  // Without it oclif asks for the user's entry in passwd, and in a container there may be none.
  process.env['SHELL'] ||= '/bin/sh'
  const root = fileURLToPath(new URL('..', import.meta.url))
  try {
    await run([...words], { root })
    await flush()
  } catch (error) {
    await handle(error as Error)
  }
}
