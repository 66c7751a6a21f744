import type { CommandIo } from '../command-io.ts'
import { UsageError } from '../usage-error.ts'
import { failureLog } from './failure-log.ts'
import { plainRenderer } from './plain.ts'
import { rawJsonRenderer } from './raw-json.ts'
import { foldEvent, newTrace, takePartial } from './trace.ts'
import { ttyRenderer } from './tty.ts'
import type { Renderer } from './types.ts'

export type ProgressMode = 'auto' | 'plain' | 'tty' | 'quiet' | 'none' | 'rawjson'

const modes: readonly string[] = ['auto', 'plain', 'tty', 'quiet', 'none', 'rawjson']

/** The mode that flags and `$BUILDKIT_PROGRESS` ask for; `auto` is a live display where there is a terminal. */
export function chooseMode(flag: string | undefined, quiet: boolean, io: CommandIo): Exclude<ProgressMode, 'auto'> {
  if (quiet) return 'quiet'
  const asked = flag ?? (io.env['BUILDKIT_PROGRESS'] || 'auto')
  if (!modes.includes(asked))
    throw new UsageError(`unknown progress mode: ${asked}`, { hint: `one of ${modes.join(', ')}` })
  // A dumb terminal moves no cursor.
  if (asked === 'auto') return io.stderr.isTTY === true && io.env['TERM'] !== 'dumb' ? 'tty' : 'plain'
  return asked as Exclude<ProgressMode, 'auto'>
}

/** `phase` is the word in the first line of a live display: `Building`, `Pulling`. */
export function createRenderer(mode: Exclude<ProgressMode, 'auto'>, phase: string, io: CommandIo): Renderer {
  if (mode === 'plain')
    return plainRenderer(boundedWriter(io.stderr, (left) => `[${left} characters left out: nobody read them]\n`))
  if (mode === 'rawjson') return rawJsonRenderer(boundedWriter(io.stderr, () => ''))
  if (mode === 'tty') return ttyRenderer(io.terminal, { phase, color: io.isColored })
  if (mode === 'quiet') return quietRenderer(io)
  return { event: () => undefined, finish: () => undefined }
}

/** Nothing while all is well; of what failed the output, for `-q` in a CI is the only word that there is. */
function quietRenderer(io: CommandIo): Renderer {
  const trace = newTrace()
  return {
    event: (event) => {
      const folded = foldEvent(trace, event)
      if (event.type === 'vertex' && event.completedMs !== undefined && folded !== undefined) takePartial(folded.vertex)
    },
    finish: () => io.stderr.write(failureLog(trace)),
  }
}

/** Progress that waits for its reader is in memory; BuildKit keeps 2 MiB of a step's output. */
const MAX_WAITING = 4 * 1024 * 1024

/** Leaves progress out while too much of it waits: a step writes faster than some readers read. */
export function boundedWriter(output: CommandIo['stderr'], note: (left: number) => string): (text: string) => void {
  let left = 0
  return (text) => {
    if (output.writableLength > MAX_WAITING) left += text.length
    else {
      output.write(left === 0 ? text : note(left) + text)
      left = 0
    }
  }
}
