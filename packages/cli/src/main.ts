import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
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
    process.exit(await runAction(build, buildAction, words.slice(1), processSession()))
  }
  await runOclif(words)
  process.exit(process.exitCode)
}

/** `tsbuild -t x .` is `tsbuild build -t x .`: what is no command and looks like a context or a flag is a build. */
export function withCommand(
  argv: readonly string[],
  exists: (path: string) => boolean = existsSync,
): readonly string[] {
  const first = argv[0]
  if (first === undefined || topLevel.includes(first)) return argv
  if (first.startsWith('-') || /[./:]/.test(first) || exists(first)) return ['build', ...argv]
  const close = nearest(first, topLevel)
  throw new UsageError(`unknown command: ${first}`, {
    hint:
      close === undefined
        ? 'tsbuild --help lists the commands; to build a directory of this name: ./' + first
        : `did you mean tsbuild ${close}?`,
    exitCode: 1,
  })
}

const topLevel = [
  ...new Set(specs.map((spec) => spec.name.split(' ')[0] ?? '')),
  'help',
  '--help',
  '-h',
  '--version',
  '-v',
]

function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end < 0 ? undefined : end).some((word) => word === '--help' || word === '-h')
}

async function runOclif(words: readonly string[]): Promise<void> {
  const { flush, handle, run, settings } = await import('@oclif/core')
  // oclif would look for a TypeScript runner when NODE_ENV says development or test.
  settings.enableAutoTranspile = false
  try {
    await run([...words], { root: fileURLToPath(new URL('..', import.meta.url)) })
    await flush()
  } catch (error) {
    await handle(error as Error)
  }
}
