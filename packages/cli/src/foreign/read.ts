import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandSpec, Input } from '../flag-types.ts'
import { parseArgv } from '../parse-argv.ts'
import type { Note } from './flag-row.ts'
import { foreignFlags, foreignValues } from './flags.ts'
import { UsageError } from '../usage-error.ts'
import { foreignWords } from './translate.ts'

interface AnyInput {
  readonly args: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
}

interface Dialect {
  /** The last step, over all that was read: what no words of ours say by themselves. */
  readonly finish?: (input: AnyInput, notes: ReadonlySet<Note>, argv: readonly string[]) => AnyInput
}

/** By the command of ours. */
const dialects: Readonly<Record<string, Dialect>> = {
  build: { finish: finishBuild },
  pull: { finish: withInsecureImage },
  push: { finish: withInsecureImage },
}

/** By the word that was typed for the command, where it means more than the command. */
const names: Readonly<Record<string, (input: AnyInput) => AnyInput>> = {
  bud: asBuildah,
  'build-using-dockerfile': asBuildah,
}

/**
 * Reads a command line that may be written for another program: kaniko, buildah, podman, Docker.
 * @param calledAs the word that was typed for the command, where it is none of ours
 * @throws UsageError, with what to use, for what is not understood
 */
export function readForeign<C extends CommandSpec>(spec: C, argv: readonly string[], calledAs?: string): Input<C> {
  const notes = new Set<Note>()
  const words = foreignWords(foreignFlags[spec.name] ?? [], foreignValues[spec.name] ?? [], notes)
  const rename = calledAs === undefined ? undefined : names[calledAs]
  const asked = rename === undefined ? spec : { ...spec, args: spec.args.map((arg) => ({ ...arg, required: false })) }
  const input: AnyInput = parseArgv<CommandSpec>(asked, argv, words)
  const finished = dialects[spec.name]?.finish?.(input, notes, argv) ?? input
  return (rename?.(finished) ?? finished) as Input<C>
}

/** kaniko pushes what it builds, unless it is told not to; `--insecure` is about the registries that it pushes to. */
function finishBuild(input: AnyInput, notes: ReadonlySet<Note>, argv: readonly string[]): AnyInput {
  if (notes.has('no-push')) checkNothingPushes(input)
  const isToldNotTo = notes.has('no-push') || argv.some((word) => /^--push=(?:0|f|false)$/i.test(word))
  const pushes = isToldNotTo ? {} : notes.has('push-tags') ? { push: true } : {}
  const tags = notes.has('insecure') ? (input.flags['tag'] as readonly string[]) : []
  return withInsecure({ ...input, flags: { ...input.flags, ...pushes } }, tags)
}

/** Ours that push would be left out without a word, or would push all the same. @throws UsageError */
function checkNothingPushes({ flags }: AnyInput): void {
  const outputs = flags['output'] as readonly string[]
  const output = outputs.find((one) => /(?:^|,)"?(?:type=registry|push=(?:1|t|true))"?(?:,|$)/i.test(one))
  if (flags['push'] !== true && output === undefined) return
  const other = output === undefined ? '--push' : `--output=${output}`
  throw new UsageError(`--no-push stands beside ${other}, which pushes`, { hint: 'leave one of them out' })
}

/** `--tls-verify=false`: the registry of the image that is named, and no other. */
function withInsecureImage(input: AnyInput, notes: ReadonlySet<Note>): AnyInput {
  return notes.has('insecure') ? withInsecure(input, input.args.slice(-1)) : input
}

function withInsecure(input: AnyInput, images: readonly string[]): AnyInput {
  if (images.length === 0) return input
  const hosts = [...(input.flags['insecure-registry'] as readonly string[]), ...images.map(registryOf)]
  return { ...input, flags: { ...input.flags, 'insecure-registry': [...new Set(hosts)] } }
}

/** The builder's own reader of names is not loaded to read a command line. */
function registryOf(image: string): string {
  const [first = '', ...more] = image.replace(/^docker:\/\//, '').split('/')
  return more.length > 0 && (/[.:A-Z]/.test(first) || first === 'localhost') ? first.toLowerCase() : 'docker.io'
}

/** buildah takes the current directory where none is named, a Containerfile before a Dockerfile, and such a file alone. */
function asBuildah(input: AnyInput): AnyInput {
  const [context = '.'] = input.args
  const named = { ...input, args: [context] }
  if (input.flags['file'] !== undefined || context === '-' || context.includes('://')) return named
  if (isFile(context)) return { args: [join(context, '..')], flags: { ...input.flags, file: context } }
  const file = join(context, 'Containerfile')
  return isFile(file) ? { ...named, flags: { ...input.flags, file } } : named
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}
