import { type AnswerFile, checkAnswerFile, removeStale, writeAnswer } from './answer-file.ts'
import type { BuildResult, BuildWarning, CallOptions } from '@ts-oci/builder'
import type { build } from '../flags.ts'
import type { Input } from '../flag-types.ts'
import { chooseMode } from '../render/renderer.ts'
import { jsonText } from '../render/terminal-text.ts'
import { withProgress } from '../render/with-progress.ts'
import type { CommandIo } from '../command-io.ts'
import { buildOptions } from './options.ts'

/** `tsbuild build`. */
export async function buildAction(input: Input<typeof build>, io: CommandIo): Promise<number> {
  const { flags } = input
  const options = buildOptions(input, io)
  const question = callOf(input.flags)
  if (question !== undefined) return answer({ ...options, ...question }, io)
  const mode = chooseMode(flags.progress, flags.quiet, io)
  const idFile = answerFile('image ID', flags.iidfile)
  const metadataFile = answerFile('metadata', flags['metadata-file'])
  // A build of an hour should not end with a file that could never be written.
  for (const file of [idFile, metadataFile]) if (file !== undefined) await checkAnswerFile(file)
  // Whoever reads it after a failure must not find the id of an earlier build.
  if (idFile !== undefined) await removeStale(idFile)
  const library = await import('@ts-oci/builder')
  const warnings: BuildWarning[] = []
  const result = await withProgress(flags, 'Building', io, (onProgress) =>
    library.build({
      ...options,
      onProgress: (event) => {
        if (event.type === 'warning') warnings.push(event.warning)
        onProgress?.(event)
      },
    }),
  ).finally(() => {
    // Also of a build that failed: what is only a warning may be why.
    if (mode === 'plain' || mode === 'tty') io.stderr.write(warningText(warnings))
  })
  if (flags.quiet && imageId(result) !== '') io.stdout.write(`${imageId(result)}\n`)
  if (idFile !== undefined) await writeAnswer(idFile, imageId(result))
  if (metadataFile !== undefined) {
    const metadata = { ...result.metadata, 'tsbuild.summary': library.summarize(result) }
    await writeAnswer(metadataFile, `${jsonText(metadata, 2)}\n`)
  }
  if (flags.summary) {
    const { renderSummary } = await import('../render/summary.ts')
    io.stderr.write(renderSummary(library.summarize(result)))
  }
  return 0
}

function answerFile(what: string, path: string | undefined): AnswerFile | undefined {
  return path === undefined ? undefined : { what, path }
}

/** `--call=METHOD[,format=json]` and `--check`; undefined for a build. */
function callOf(flags: Input<typeof build>['flags']): Pick<CallOptions, 'method' | 'json'> | undefined {
  const [method = 'build', format] = (flags.call ?? (flags.check ? 'check' : 'build')).split(',')
  if (method === 'build') return undefined
  // The name that BuildKit gives the method of `check`.
  return { method: method === 'lint' ? 'check' : (method as CallOptions['method']), json: format === 'format=json' }
}

async function answer(options: CallOptions, io: CommandIo): Promise<number> {
  const library = await import('@ts-oci/builder')
  const { stdout, stderr, exitCode } = await library.call(options)
  io.stdout.write(stdout)
  io.stderr.write(stderr)
  return exitCode
}

/** The image id is the digest of the config, as everywhere in Docker's tables; of several images that of their index. */
function imageId({ images, configDigest, digest }: BuildResult): string {
  return (images.length > 1 ? digest : undefined) ?? configDigest ?? digest ?? ''
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
