import { join } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import { compose } from '../build/composition.ts'
import { checkOptions } from '../build/options.ts'
import { environmentOf, frontendOptionsOf, pullPolicy } from '../build/plan.ts'
import type { BuildOptions } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import { findSources, isRemote, type BuildSources } from '../build/sources.ts'
import { eachPlatform } from '../frontends/dockerfile/frontend.ts'
import {
  type CallOutput,
  formatCheck,
  formatCheckJson,
  formatOutline,
  formatOutlineJson,
  formatTargets,
  formatTargetsJson,
  lintDockerfile,
  listTargets,
  outlineDockerfile,
} from '../frontends/dockerfile/index.ts'

export type { CallOutput } from '../frontends/dockerfile/index.ts'

export interface CallOptions extends BuildOptions {
  /** `check`: warnings and errors; `outline`: what a target takes from outside; `targets`: what can be built. */
  readonly method: 'check' | 'outline' | 'targets'
  readonly json?: boolean | undefined
}

/**
 * Answers a question about a Dockerfile as `docker buildx build --call` prints it. Nothing is run; configs of bases are
 * looked up in the store or their registry.
 * @throws the errors of {@link build} for input that cannot be read; what `check` finds is in its answer.
 * @example
 * const { stdout, exitCode } = await call({ context: '.', method: 'check' })
 */
export async function call(options: CallOptions): Promise<CallOutput> {
  const checked = checkOptions(options, ['method', 'json'])
  // What a text alone answers, and a directory has it, needs no store.
  if (options.method === 'targets' && isDirectory(options.context)) {
    const { dockerfile } = await findSources(options)
    return targetsOf(dockerfile, options)
  }
  const sink = options.onProgress ?? (() => undefined)
  await using session = await sessionOf(options)
  const pull = pullPolicy(options.pull)
  await using composition = await compose({
    session,
    options,
    checked,
    sink,
    purpose: 'answer',
    // An answer about the text needs no newer base than the one at hand.
    pull: pull === 'default' ? 'missing' : pull,
  })
  const parts = await composition.lowering()
  if (parts.sources === undefined)
    throw new BuilderError(
      'OCI_OPTION_UNSUPPORTED',
      `${options.method} is asked about a Dockerfile, and a state has none`,
      {
        hint: 'build it, or have its graph from toLlb',
      },
    )
  const { dockerfile } = parts.sources
  if (options.method === 'targets') return targetsOf(dockerfile, options)
  const { text, name } = dockerfile
  const lowering = [eachPlatform(frontendOptionsOf(parts))[0]!, environmentOf(parts)] as const
  if (options.method === 'check') {
    const result = await lintDockerfile(text, ...lowering, { name: writtenName(options) ?? name })
    return options.json ? formatCheckJson(result) : formatCheck(result)
  }
  const outline = await outlineDockerfile(text, ...lowering, { name })
  return ok(options.json ? formatOutlineJson(outline) : formatOutline(outline))
}

function isDirectory(context: string | undefined): boolean {
  return context === undefined || (context !== '-' && !isRemote(context))
}

function targetsOf({ text, name }: BuildSources['dockerfile'], { json }: CallOptions): CallOutput {
  const targets = listTargets(text, { name })
  return ok(json ? formatTargetsJson(targets) : formatTargets(targets))
}

// Findings name the file as the user could open it from here, as buildx prints it.
function writtenName({ context, file, dockerfile }: CallOptions): string | undefined {
  if (dockerfile !== undefined) return 'inline'
  if (file !== undefined) return file === '-' ? 'stdin' : file
  return context !== undefined && isDirectory(context) ? join(context, 'Dockerfile') : undefined
}

function ok(stdout: string): CallOutput {
  return { stdout, stderr: '', exitCode: 0 }
}
