import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { commands } from './commands/list.ts'
import { specs } from './flags.ts'
import { renderError } from './render/errors.ts'
import { forTerminal } from './render/terminal-text.ts'
import { nearest, UsageError } from './usage-error.ts'

/** Runs the command line `tsbuild ARGV` and ends the process with its exit status. */
export async function main(argv: readonly string[]): Promise<void> {
  let words: readonly string[]
  try {
    words = withCommand(argv)
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
  if (first.startsWith('-')) checkFlagsFirst(argv, exists)
  if (first.startsWith('-') || /[./:]/.test(first) || exists(first)) return ['build', ...argv]
  throw unknownCommand(first, 'tsbuild', topLevel)
}

/** `tsbuild --store X pull NAME`: it would be read as a build of a context that has the name of a command. */
function checkFlagsFirst(argv: readonly string[], exists: (path: string) => boolean): void {
  const words: number[] = []
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? ''
    if (word === '--') return
    if (!word.startsWith('-') || word === '-') words.push(at)
    else if (takesNextWord(word)) at++
  }
  const [at = 0] = words
  const word = argv[at] ?? ''
  if (words.length === 0 || !topLevel.includes(word) || (words.length === 1 && exists(word))) return
  const flags = argv.slice(0, at)
  throw new UsageError(`flags go behind the command: ${flags.join(' ')} stands before ${word}`, {
    hint: ['tsbuild', word, ...flags, ...argv.slice(at + 1)].join(' '),
  })
}

/** By the flags of all commands: which one is meant is not known yet. */
function takesNextWord(word: string): boolean {
  const flag = specs
    .flatMap((spec) => spec.flags)
    .find((one) => word === `--${one.name}` || (one.char !== undefined && word === `-${one.char}`))
  return flag?.kind === 'text' || flag?.kind === 'texts'
}

const topLevel = [...new Set(specs.map((spec) => spec.name.split(' ')[0] ?? ''))]
const helpWords = ['--help', '-h', '--version', '-v']

/** What who knows Docker's commands is looking for. */
const ofDocker: Readonly<Record<string, string>> = {
  builder: 'tsbuild prune removes the build cache',
  buildx: 'tsbuild build builds; it has no builder instances',
  container: 'tsbuild builds images and runs none: send it to where it runs with --push or -o type=docker,dest=FILE',
  image: 'tsbuild images, history, inspect, tag, rmi, pull and push have names of their own',
  load: 'skopeo copy docker-archive:FILE oci:STORE:NAME puts an image into the store; tsbuild info says where it is',
  login: 'docker login, podman login and skopeo login write the files that tsbuild reads',
  ls: 'did you mean tsbuild images?',
  rm: 'did you mean tsbuild rmi?',
  run: 'tsbuild builds images and runs none: send it to where it runs with --push or -o type=docker,dest=FILE',
  save: 'tsbuild -t NAME -o type=docker,dest=FILE CONTEXT writes what docker load reads',
  system: 'tsbuild prune removes the build cache; tsbuild info tells about this machine',
  version: 'did you mean tsbuild --version?',
}

function unknownCommand(word: string, parent: string, known: readonly string[]): UsageError {
  const close = nearest(word, known)
  const hint =
    (parent === 'tsbuild' && Object.hasOwn(ofDocker, word) ? ofDocker[word] : undefined) ??
    (close === undefined ? `${parent} --help lists the commands` : `did you mean ${parent} ${close}?`)
  const message =
    parent === 'tsbuild'
      ? `unknown command: ${word}: it is neither a command nor a directory to build`
      : `unknown command: ${parent.slice('tsbuild '.length)} ${word}`
  return new UsageError(message, { hint, exitCode: 1 })
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
