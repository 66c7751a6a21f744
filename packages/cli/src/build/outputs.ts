import type { OutputSpec } from '@ts-oci/builder'
import { outputs } from '@ts-oci/builder/families'
import { booleanWord } from '../boolean-word.ts'
import { namesOf } from '../flags/families.ts'
import { nearest, UsageError } from '../usage-error.ts'
import { keyValues } from './csv.ts'

const types: readonly string[] = namesOf(outputs)

/** One `-o`: `type=oci,dest=x.tar`, a directory, or `-` for a tar on standard output. @throws UsageError */
export function parseOutput(text: string, stdoutIsTerminal: boolean): OutputSpec {
  const fields = keyValues(text)
  const [[first, firstValue] = ['', undefined]] = fields
  if (fields.length === 1 && firstValue === undefined) {
    return checked(first === '-' ? { type: 'tar', dest: '-' } : { type: 'local', dest: first }, text, stdoutIsTerminal)
  }
  const attributes: Record<string, string> = {}
  for (const [name, value] of fields) {
    if (value === undefined) throw invalid(text, `"${name}" is no NAME=VALUE`)
    attributes[name.trim().toLowerCase()] = value
  }
  const { type, ...rest } = attributes
  if (type === undefined) throw invalid(text, 'the type is missing')
  const close = nearest(type, types)
  if (!types.includes(type))
    throw invalid(text, `unknown type "${type}"${close === undefined ? '' : ` (did you mean ${close}?)`}`)
  return checked({ ...rest, type } as OutputSpec, text, stdoutIsTerminal)
}

function checked(spec: OutputSpec, text: string, stdoutIsTerminal: boolean): OutputSpec {
  if (spec.type === 'local' && !spec.dest) throw invalid(text, 'dest is missing: the directory to write to')
  // Without a file it goes to a Docker or Podman, as buildx has it.
  if (spec.type === 'docker' && spec.dest === undefined) return spec
  const isArchive = outputs.find(({ name }) => name === spec.type)?.writes === 'archive'
  const { dest } = spec as { readonly dest?: string }
  const isStdout = isArchive && (dest === undefined || dest === '-')
  if (isStdout && stdoutIsTerminal) {
    throw new UsageError(`--output type=${spec.type}: refusing to write an archive to the terminal`, {
      hint: 'name a file with dest=FILE',
    })
  }
  return isStdout ? ({ ...spec, dest: '-' } as OutputSpec) : spec
}

function invalid(text: string, reason: string): UsageError {
  return new UsageError(`invalid argument "${text}" for --output: ${reason}`, {
    hint: `type=TYPE,dest=PATH with TYPE one of ${types.join(', ')}; a directory; or - for a tar on standard output`,
  })
}

/**
 * What `--load` asks for. Where it names no engine, an image in the store: who calls this by the name of `docker` finds it
 * among its images.
 * @throws UsageError
 */
export function loadOutputs(load: string | undefined, others: readonly OutputSpec[]): readonly OutputSpec[] {
  const word = booleanWord(load ?? 'false') ?? load
  if (word === 'false') return []
  if (word === 'docker' || word === 'podman') return [{ type: 'docker', engine: word }]
  // Without any other output it is the default.
  if (word === 'true')
    return others.length === 0 || others.some(({ type }) => type === 'image') ? [] : [{ type: 'image' }]
  throw new UsageError(`invalid argument "${load}" for --load`, { hint: 'docker, podman, or nothing for the store' })
}
