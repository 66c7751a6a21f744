import { join } from 'node:path'
import { lowerEnvironmentOf, lowerOptionsOf, pullPolicy } from '../build/plan.ts'
import { checkOptions } from '../build/options.ts'
import { findSources } from '../build/sources.ts'
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
import { createImageResolver } from '../ops/image/resolve.ts'
import type { BuildOptions } from '../build/public-types.ts'
import { openSession } from '../build/session.ts'
import { checkImageWith, fetchImageWith } from '../build/transfers.ts'

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
  const checked = checkOptions(options)
  const sink = options.onProgress ?? (() => undefined)
  const sources = await findSources(options)
  const { text, name } = sources.dockerfile
  if (options.method === 'targets') {
    const targets = listTargets(text, { name })
    return ok(options.json ? formatTargetsJson(targets) : formatTargets(targets))
  }
  await using session = await openSession(options)
  const pull = pullPolicy(options.pull)
  const images = createImageResolver({
    store: session.store,
    fetchImage: fetchImageWith(session),
    checkImage: checkImageWith(session),
    // An answer about the text needs no newer base than the one at hand.
    pull: pull === 'default' ? 'missing' : pull,
  })
  const lowering = [lowerOptionsOf(options, checked, sources), lowerEnvironmentOf(sources, images, sink)] as const
  if (options.method === 'check') {
    const result = await lintDockerfile(text, ...lowering, { name: writtenName(options) ?? name })
    return options.json ? formatCheckJson(result) : formatCheck(result)
  }
  const outline = await outlineDockerfile(text, ...lowering, { name })
  return ok(options.json ? formatOutlineJson(outline) : formatOutline(outline))
}

// Findings name the file as the user could open it from here, as buildx prints it.
function writtenName({ context, file, dockerfile }: CallOptions): string | undefined {
  if (dockerfile !== undefined) return 'inline'
  if (file !== undefined) return file === '-' ? 'stdin' : file
  return context === undefined || context === '-' || context.includes('://') ? undefined : join(context, 'Dockerfile')
}

function ok(stdout: string): CallOutput {
  return { stdout, stderr: '', exitCode: 0 }
}
