import type { BuildWarning, CallOptions } from '@ts-oci/builder'
import type { build } from '../flags.ts'
import type { Input } from '../flag-types.ts'
import { chooseMode } from '../render/renderer.ts'
import { withProgress } from '../render/with-progress.ts'
import type { CommandIo } from '../command-io.ts'
import { checkAnswerFile, removeStale, writeAnswer } from './answer-file.ts'
import { answersOf, imageId, makeDirectories } from './answers.ts'
import { buildOptions } from './options.ts'

/** `tsbuild build`. */
export async function buildAction(input: Input<typeof build>, io: CommandIo): Promise<number> {
  const { logfile } = input.flags
  if (logfile === undefined) return buildImage(input, io)
  const { openLogFile } = await import('./log-file.ts')
  using logged = openLogFile(logfile, io)
  return await buildImage(input, logged)
}

async function buildImage(input: Input<typeof build>, io: CommandIo): Promise<number> {
  const { flags } = input
  const options = buildOptions(input, io)
  const question = callOf(input.flags)
  if (question !== undefined) return answer({ ...options, ...question }, io)
  const mode = chooseMode(flags.progress, flags.quiet, io)
  const answers = answersOf(flags)
  makeDirectories(flags)
  // A build of an hour should not end with a file that could never be written.
  for (const { file } of answers) await checkAnswerFile(file)
  for (const { file, isStale } of answers) if (isStale) await removeStale(file)
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
  for (const { file, text } of answers)
    await writeAnswer(
      file,
      text(result, () => library.summarize(result)),
    )
  if (flags.summary) {
    const { renderSummary } = await import('../render/summary.ts')
    io.stderr.write(renderSummary(library.summarize(result)))
  }
  return 0
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

function warningText(warnings: readonly BuildWarning[]): string {
  if (warnings.length === 0) return ''
  const count = warnings.length === 1 ? '1 warning found' : `${warnings.length} warnings found`
  const lines = warnings.map(({ rule, message, location }) => {
    const place = location === undefined ? '' : ` (line ${location.startLine})`
    return ` - ${rule === '' ? '' : `${rule}: `}${message}${place}`
  })
  return `\n ${count}:\n${lines.join('\n')}\n`
}
