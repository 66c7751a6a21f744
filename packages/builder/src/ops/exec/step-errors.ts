import { statfsSync } from 'node:fs'
import type { StepExit } from '@ts-oci/runtime'
import { BuilderError, isTsOciError } from '../../base/errors.ts'
import { quote } from '../../base/text.ts'
import type { ExecSpec } from '../../graph/op-specs.ts'
import type { Vertex } from '../../graph/types.ts'

/** Why a step did not end as it should: in BuildKit's words, with what to do. */
export function exitError(
  spec: ExecSpec,
  vertex: Vertex,
  exit: StepExit,
  facts: { readonly tail: string; readonly storeRoot: string; readonly hint: string | undefined },
): BuilderError {
  const { tail } = facts
  const hint = facts.hint ?? fullDiskHint(facts.storeRoot, tail)
  if (exit.startError !== undefined) {
    const { operation, errno, message } = exit.startError
    const noShell = exit.exitCode === 127 ? missingShellHint(spec) : undefined
    return stepError(
      spec,
      vertex,
      exit.exitCode === 127 || exit.exitCode === 126
        ? `exit code: ${exit.exitCode}: ${message}`
        : `${operation}: ${message} (${errno})`,
      { details: { exitCode: exit.exitCode, operation, errno, output: tail }, hint: hint ?? noShell },
    )
  }
  const how = exit.signal === undefined ? `exit code: ${exit.exitCode}` : `exit code: ${exit.exitCode} (${exit.signal})`
  if (!exit.oomKilled)
    return stepError(spec, vertex, how, {
      details: { exitCode: exit.exitCode, signal: exit.signal, output: tail },
      hint,
    })
  // BuildKit's words.
  return stepError(spec, vertex, 'cannot allocate memory', {
    details: { exitCode: exit.exitCode, signal: exit.signal, oomKilled: true, output: tail },
    hint: memoryHint(vertex.metadata.resources?.memoryBytes, how),
  })
}

function memoryHint(limitBytes: number | undefined, how: string): string {
  const killed = `the kernel killed a process of it (${how})`
  return limitBytes === undefined
    ? `${killed}, as memory was out where tsbuild runs: give the machine or the container more, or run fewer steps at once (--jobs)`
    : `${killed}, as it took more than its limit of ${limitBytes} bytes: raise --memory`
}

/** `FROM scratch` and images without a distribution have no shell, and the shell form of RUN needs one. */
function missingShellHint({ meta: { args } }: ExecSpec): string | undefined {
  const [shell, option] = args
  if (shell !== '/bin/sh' || option !== '-c') return undefined
  return 'the image has no /bin/sh, or not what it needs: RUN ["/PROGRAM", "ARGUMENT"] starts a program without one'
}

/** Less than this is full, whatever a program calls it; with a program's word for it, less than that. */
const FULL_BYTES = 1024 * 1024
const NEARLY_FULL_BYTES = 16 * 1024 * 1024

/** A step that found no room, on the disk of the store: what it wrote is still there when this is asked. */
function fullDiskHint(storeRoot: string, tail: string): string | undefined {
  const { bavail, bsize } = statfsSync(storeRoot)
  const isSaid = /no space left on device|disk quota exceeded/i.test(tail)
  if (bavail * bsize >= (isSaid ? NEARLY_FULL_BYTES : FULL_BYTES)) return undefined
  return `no space left for the store at ${storeRoot}: free some (\`tsbuild prune -a\` empties the build cache), or set TSBUILD_HOME to a larger disk`
}

export function stepError(
  spec: ExecSpec,
  vertex: Vertex,
  why: string,
  options: { readonly details?: Readonly<Record<string, unknown>>; readonly hint?: string | undefined } = {},
): BuilderError {
  return new BuilderError(
    'OCI_STEP_FAILED',
    `process ${quote(spec.meta.args.join(' '))} did not complete successfully: ${why}`,
    { ...location(vertex), hint: options.hint, details: { vertex: vertex.metadata.name, ...options.details } },
  )
}

/** A mount of something that its source does not have, in the words of who runs steps for BuildKit; else the error itself. */
export function missingSource(spec: ExecSpec, vertex: Vertex, error: unknown): unknown {
  const missing = isTsOciError(error) ? error.details['missingSource'] : undefined
  if (typeof missing === 'string') return stepError(spec, vertex, `open ${missing}: no such file or directory`)
  if (!isTsOciError(error) || error.code !== 'OCI_RUNTIME_MOUNT' || error.details['errno'] !== 'ENOENT') return error
  const source = /^mount .*: source (.*)$/s.exec(String(error.details['operation']))?.[1]
  return source === undefined ? error : stepError(spec, vertex, `open ${source}: no such file or directory`)
}

/** Of the instruction, where it has one. */
export function location(vertex: Vertex): { readonly location?: NonNullable<Vertex['metadata']['location']> } {
  return vertex.metadata.location === undefined ? {} : { location: vertex.metadata.location }
}
