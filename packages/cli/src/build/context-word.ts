import { createReadStream, statSync } from 'node:fs'
import type { CommandIo } from '../command-io.ts'
import { UsageError } from '../usage-error.ts'

/** The context of a command line as the library takes it. */
export interface ContextWord {
  readonly context: string
  readonly stdin: AsyncIterable<Uint8Array> | undefined
}

/**
 * kaniko's `tar://FILE` is the archive that another shell would give to `-`; `tar://stdin` is `-`.
 * @param file of `--file`, which may be `-` as well
 * @throws UsageError
 */
export function contextWord(word: string, file: string | undefined, io: Pick<CommandIo, 'stdin'>): ContextWord {
  const archive = word.startsWith('tar://') ? word.slice('tar://'.length) : undefined
  const isInput = word === '-' || archive === 'stdin'
  if (isInput && file === '-') {
    throw new UsageError('context and Dockerfile cannot both come from standard input', {
      hint: 'give one of them by name',
    })
  }
  if (isInput) return { context: '-', stdin: io.stdin }
  if (archive === undefined) return { context: word, stdin: file === '-' ? io.stdin : undefined }
  if (file === '-')
    throw new UsageError(`the Dockerfile cannot come from standard input where the context is ${word}`, {
      hint: 'lay the Dockerfile into the archive, and name it with -f',
    })
  if (statSync(archive, { throwIfNoEntry: false })?.isFile() !== true)
    throw new UsageError(`${word}: there is no such file`, { hint: 'tar://FILE names an archive', exitCode: 1 })
  return { context: '-', stdin: readWhenAsked(archive) }
}

/** A file that nobody reads in the end is never opened. */
async function* readWhenAsked(path: string): AsyncIterable<Uint8Array> {
  yield* createReadStream(path)
}
