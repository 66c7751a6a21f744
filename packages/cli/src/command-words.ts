import { existsSync } from 'node:fs'
import { specs } from './flags.ts'
import type { ForeignCommand } from './foreign/commands.ts'
import { nearest, UsageError } from './usage-error.ts'

/** `tsbuild -t x .` is `tsbuild build -t x .`: what is no command and looks like a context or a flag is a build. */
export function withCommand(
  argv: readonly string[],
  exists: (path: string) => boolean = existsSync,
  foreign: readonly ForeignCommand[] = [],
): readonly string[] {
  const [first, second] = argv
  if (first === undefined) return ['--help']
  if (first === 'help') return [...argv.slice(1), '--help']
  if (helpWords.includes(first)) return argv
  // Beside other words `-v HOST:CONTAINER` is buildah's volume: a version would be a build that was silently not made.
  if (versionWords.includes(first) && second === undefined) return ['--version']
  const subcommands = specs
    .filter((spec) => spec.name.startsWith(`${first} `))
    .map((spec) => spec.name.slice(first.length + 1))
  if (subcommands.length > 0) {
    const deeper = subcommands.flatMap((one) => (one.startsWith(`${second} `) ? [one.slice(`${second} `.length)] : []))
    if (second !== undefined && deeper.length > 0) return withDeeper(argv, [first, second], deeper)
    const isKnown = second === undefined || second.startsWith('-') || subcommands.includes(second)
    if (!isKnown) {
      const other = foreign.find(({ name }) => name.includes(' ') && isStartOf(name.split(' '), argv))
      if (other?.as !== undefined) return [...other.as, ...argv.slice(other.name.split(' ').length)]
      throw other === undefined ? unknownCommand(second, `tsbuild ${first}`, subcommands) : foreignCommand(other)
    }
    return second === undefined ? [first, '--help'] : argv
  }
  if (topLevel.includes(first)) return argv
  const known = foreign.find(({ name }) => isStartOf(name.split(' '), argv))
  if (known?.as !== undefined) return [...known.as, ...argv.slice(known.name.split(' ').length)]
  if (first.startsWith('-')) checkFlagsFirst(argv, exists)
  if (first.startsWith('-') || /[./:]/.test(first) || exists(first)) return ['build', ...argv]
  throw known === undefined ? unknownCommand(first, 'tsbuild', topLevel, foreign) : foreignCommand(known)
}

/** `cache mounts ls`: one that has three words. */
function withDeeper(
  argv: readonly string[],
  [first, second]: readonly [string, string],
  known: readonly string[],
): readonly string[] {
  const third = argv[2]
  if (third === undefined) return [first, '--help']
  if (third.startsWith('-') || known.includes(third)) return argv
  throw unknownCommand(third, `tsbuild ${first} ${second}`, known)
}

/** Whether help is asked for: a value of a flag may look like it, and what stands behind `--` is no flag. */
export function asksForHelp(words: readonly string[]): boolean {
  for (let at = 0; at < words.length && words[at] !== '--'; at++) {
    const word = words[at] ?? ''
    if (helpWords.includes(word)) return true
    if (takesNextWord(word)) at++
  }
  return false
}

/** Whether the first word may be the command of another program: then `withCommand` wants their table. */
export function mayBeForeign(argv: readonly string[]): boolean {
  const [first = '', second = ''] = argv
  if (!topLevel.includes(first)) return /^[a-z][a-z-]*$/.test(first)
  // `image prune` is ours, `image ls` is Docker's name of `images`.
  return !specs.some(({ name }) => name === first || `${name} `.startsWith(`${first} ${second} `))
}

/** `tsbuild --store X pull NAME`: it would be read as a build of a context that has the name of a command. */
function checkFlagsFirst(argv: readonly string[], exists: (path: string) => boolean): void {
  const words: number[] = []
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? ''
    if (word === '--') return
    if (!word.startsWith('-') || word === '-') words.push(at)
    else if (takesNextWord(word)) at++
    // Of another program: the next word may be its value. The command's own reading says what there is to say.
    else if (!word.includes('=') && !isOurs(word)) return
  }
  const [at = 0] = words
  const word = argv[at] ?? ''
  if (words.length === 0 || !topLevel.includes(word) || (words.length === 1 && exists(word))) return
  // A value may be a password.
  const flags = argv.slice(0, at).map((one) => one.replace(/^(--creds=).*/, '$1…'))
  throw new UsageError(`flags go behind the command: ${flags.join(' ')} stands before ${word}`, {
    hint: ['tsbuild', word, ...flags, ...argv.slice(at + 1)].join(' '),
  })
}

/** Letters that need no value may stand together. */
function isOurs(word: string): boolean {
  // A letter of a command of two words (`system df -v`) does not stand before one.
  const flags = specs.filter(({ name }) => word.startsWith('--') || !name.includes(' ')).flatMap((spec) => spec.flags)
  if (word.startsWith('--')) return flags.some(({ name }) => word === `--${name}`)
  return word
    .slice(1)
    .split('')
    .every((letter) => flags.some(({ char }) => char === letter))
}

/** By the flags of all commands: which one is meant is not known yet. */
function takesNextWord(word: string): boolean {
  const flag = specs
    .flatMap((spec) => spec.flags)
    .find((one) => word === `--${one.name}` || (one.char !== undefined && word === `-${one.char}`))
  return flag?.kind === 'text' || flag?.kind === 'texts'
}

const topLevel = [...new Set(specs.map((spec) => spec.name.split(' ')[0] ?? ''))]
const helpWords = ['--help', '-h']
const versionWords = ['--version', '-v']

function foreignCommand({ name, use }: ForeignCommand): UsageError {
  return new UsageError(
    `unknown command: ${name}: tsbuild has no such command, and there is no such directory to build`,
    {
      hint: use,
      exitCode: 1,
    },
  )
}

/** Of a misspelt command of another program, what to use for that. */
function hintOfForeign(word: string, foreign: readonly ForeignCommand[]): string | undefined {
  const close = nearest(
    word,
    foreign.map(({ name }) => name),
  )
  const found = foreign.find(({ name }) => name === close)
  if (found === undefined) return undefined
  return found.as === undefined ? `for ${found.name}: ${found.use}` : `did you mean tsbuild ${found.as.join(' ')}?`
}

function isStartOf(name: readonly string[], argv: readonly string[]): boolean {
  return name.every((word, index) => argv[index] === word)
}

function unknownCommand(
  word: string,
  parent: string,
  known: readonly string[],
  foreign: readonly ForeignCommand[] = [],
): UsageError {
  const close = nearest(word, known)
  const hint =
    close === undefined
      ? (hintOfForeign(word, foreign) ?? `${parent} --help lists the commands`)
      : `did you mean ${parent} ${close}?`
  const message =
    parent === 'tsbuild'
      ? `unknown command: ${word}: it is neither a command nor a directory to build`
      : `unknown command: ${parent.slice('tsbuild '.length)} ${word}`
  return new UsageError(message, { hint, exitCode: 1 })
}
