import { join } from 'node:path'
import type { CommandSpec, Input } from '../flag-types.ts'
import { parseArgv } from '../parse-argv.ts'
import { UsageError } from '../usage-error.ts'
import { type AnyInput, finishBuild, isFile, registryOf, withInsecure } from './finish-build.ts'
import type { Note, Notes } from './flag-row.ts'
import { foreignFlags, foreignValues } from './flags.ts'
import { foreignWords } from './translate.ts'

interface Dialect {
  /** The last step, over all that was read: what no words of ours say by themselves. */
  readonly finish?: (input: AnyInput, notes: Notes, argv: readonly string[]) => AnyInput
}

/** By the command of ours. */
const dialects: Readonly<Record<string, Dialect>> = {
  build: { finish: finishBuild },
  pull: { finish: withInsecureImage },
  push: { finish: withInsecureImage },
}

/** By the word that was typed for the command, where it means more than the command. */
const names: Readonly<Record<string, (input: AnyInput, notes: Notes, argv: readonly string[]) => AnyInput>> = {
  bud: asBuildahAlone,
  'build-using-dockerfile': asBuildahAlone,
  'buildah build': (input, notes, argv) => asBuildahAlone(withOwnIsolation(input), notes, argv),
  'podman build': (input, notes, argv) => asBuildah(withOwnIsolation(input), notes, argv),
  executor: asKaniko,
}

/**
 * Reads a command line that may be written for another program: kaniko, buildah, podman, Docker.
 * @param calledAs the word that was typed for the command, where it is none of ours
 * @throws UsageError, with what to use, for what is not understood
 */
export function readForeign<C extends CommandSpec>(spec: C, argv: readonly string[], calledAs?: string): Input<C> {
  const notes: Notes = new Map<Note, readonly string[]>()
  const words = foreignWords(foreignFlags[spec.name] ?? [], foreignValues[spec.name] ?? [], notes)
  const rename = calledAs === undefined ? undefined : names[calledAs]
  const asked = rename === undefined ? spec : { ...spec, args: spec.args.map((arg) => ({ ...arg, required: false })) }
  const input: AnyInput = parseArgv<CommandSpec>(asked, argv, words)
  const renamed = rename?.(input, notes, argv) ?? input
  return (dialects[spec.name]?.finish?.(renamed, notes, argv) ?? renamed) as Input<C>
}

/** `--tls-verify=false`: the registry of the image that is named, and no other. */
function withInsecureImage(input: AnyInput, notes: Notes): AnyInput {
  return notes.has('insecure') ? withInsecure(input, input.args.slice(-1).map(registryOf)) : input
}

/** buildah takes the current directory where none is named, a Containerfile before a Dockerfile, and such a file alone. */
function asBuildah(input: AnyInput, _notes: Notes, argv: readonly string[]): AnyInput {
  const files = argv.filter((word) => /^(?:-f|--file)(?:=|$)/.test(word))
  if (files.length > 1)
    throw new UsageError('several Containerfiles are one for buildah, and not here', {
      hint: 'cat A B | tsbuild -f - CONTEXT',
    })
  return withContainerfile(input)
}

/**
 * What buildah calls chroot or rootless is what it can do in such a place: the strongest that works there is never less. Our
 * `chroot` by name would be taken also where that is weaker, or where only another one works.
 */
function withOwnIsolation(input: AnyInput): AnyInput {
  const isTheirs = ['chroot', 'rootless'].includes(String(input.flags['isolation']))
  return isTheirs ? { ...input, flags: { ...input.flags, isolation: 'auto' } } : input
}

/** Of buildah `--squash` joins all layers; of podman, and of Docker, the new ones. */
function asBuildahAlone(input: AnyInput, notes: Notes, argv: readonly string[]): AnyInput {
  const { squash } = input.flags
  const flags = squash === true ? { ...input.flags, squash: false, 'squash-all': true } : input.flags
  return asBuildah({ ...input, flags }, notes, argv)
}

function withContainerfile(input: AnyInput): AnyInput {
  const [context = '.'] = input.args
  const named = { ...input, args: [context] }
  if (input.flags['file'] !== undefined || context === '-' || context.includes('://')) return named
  if (isFile(context)) return { args: [join(context, '..')], flags: { ...input.flags, file: context } }
  const file = join(context, 'Containerfile')
  return isFile(file) ? { ...named, flags: { ...input.flags, file } } : named
}

/** kaniko's context is `--context`, /workspace where it is missing; what is built goes somewhere. */
function asKaniko(input: AnyInput, notes: Notes): AnyInput {
  const [first] = input.args
  if (first !== undefined && !notes.has('kaniko-context'))
    throw new UsageError(`unknown command ${JSON.stringify(first)} for "executor"`, {
      hint: `the context is --context=${first}`,
    })
  if (!notes.has('no-push') && !notes.has('push-tags'))
    throw new UsageError('you must provide --destination, or use --no-push')
  if (!notes.has('kaniko-context')) notes.set('kaniko-context', ['/workspace/'])
  const { file = 'Dockerfile' } = input.flags
  return { ...input, flags: { ...input.flags, file } }
}
