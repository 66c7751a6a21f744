import { rm, writeFile } from 'node:fs/promises'
import type { BuildResult, BuildWarning, CallOptions } from '@ts-oci/builder'
import type { build } from '../flags.ts'
import type { Input } from '../flag-types.ts'
import { chooseMode } from '../render/renderer.ts'
import { withProgress } from '../render/with-progress.ts'
import type { Session } from '../session.ts'
import { UsageError } from '../usage-error.ts'
import { buildOptions } from './options.ts'

/** `tsbuild build`. */
export async function buildAction(input: Input<typeof build>, session: Session): Promise<number> {
  const { flags } = input
  const options = buildOptions(input, session)
  const question = callOf(input.flags)
  if (question !== undefined) return answer({ ...options, ...question }, session)
  const mode = chooseMode(flags.progress, flags.quiet, session)
  // Whoever reads it after a failure must not find the id of an earlier build.
  if (flags.iidfile !== undefined) await rm(flags.iidfile, { force: true })
  const library = await import('@ts-oci/builder')
  const result = await withProgress(flags, 'Building', session, (onProgress) =>
    library.build({ ...options, onProgress }),
  )
  if (mode === 'plain' || mode === 'tty') session.stderr.write(warningText(result.warnings))
  if (flags.iidfile !== undefined) await writeAnswer(flags.iidfile, imageId(result))
  if (flags['metadata-file'] !== undefined)
    await writeAnswer(flags['metadata-file'], `${JSON.stringify(result.metadata, null, 2)}\n`)
  if (flags.quiet && imageId(result) !== '') session.stdout.write(`${imageId(result)}\n`)
  return 0
}

/** `--call=METHOD[,format=json]` and `--check`; undefined for a build. */
function callOf(flags: Input<typeof build>['flags']): Pick<CallOptions, 'method' | 'json'> | undefined {
  const [method = 'build', format] = (flags.call ?? (flags.check ? 'check' : 'build')).split(',')
  if (method === 'build') return undefined
  // The name that BuildKit gives the method of `check`.
  return { method: method === 'lint' ? 'check' : (method as CallOptions['method']), json: format === 'format=json' }
}

async function answer(options: CallOptions, session: Session): Promise<number> {
  const library = await import('@ts-oci/builder')
  const { stdout, stderr, exitCode } = await library.call(options)
  session.stdout.write(stdout)
  session.stderr.write(stderr)
  return exitCode
}

/** The image is built by now: a file that cannot be written is the user's affair, and no bug. */
async function writeAnswer(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text)
  } catch (error) {
    throw new UsageError(`the image was built, but ${(error as Error).message}`, { exitCode: 1 })
  }
}

/** The image id is the digest of the config, as everywhere in Docker's tables. */
function imageId(result: BuildResult): string {
  return result.configDigest ?? result.digest ?? ''
}

function warningText(warnings: readonly BuildWarning[]): string {
  if (warnings.length === 0) return ''
  const count = warnings.length === 1 ? '1 warning found' : `${warnings.length} warnings found`
  const lines = warnings.map(({ rule, message, location }) => {
    const place = location === undefined ? '' : ` (line ${location.startLine})`
    return ` - ${rule === '' ? '' : `${rule}: `}${message}${place}`
  })
  return `\n ${count}:\n${lines.join('\n')}\n`
}
