import type { ProgressEvent } from '@ts-oci/builder'
import type { Session } from '../session.ts'
import { UsageError } from '../usage-error.ts'
import { plainRenderer } from './plain.ts'
import { rawJsonRenderer } from './raw-json.ts'
import { ttyRenderer } from './tty.ts'

/** Shows the progress of one piece of work. */
export interface Renderer {
  event(event: ProgressEvent): void
  /** Shows what was held back, and the last output of what failed. Call it once. */
  finish(): void
}

export type ProgressMode = 'auto' | 'plain' | 'tty' | 'quiet' | 'none' | 'rawjson'

const modes: readonly string[] = ['auto', 'plain', 'tty', 'quiet', 'none', 'rawjson']

/** The mode that flags and `$BUILDKIT_PROGRESS` ask for; `auto` is a live display where there is a terminal. */
export function chooseMode(flag: string | undefined, quiet: boolean, session: Session): Exclude<ProgressMode, 'auto'> {
  if (quiet) return 'quiet'
  const asked = flag ?? (session.env['BUILDKIT_PROGRESS'] || 'auto')
  if (!modes.includes(asked))
    throw new UsageError(`unknown progress mode: ${asked}`, { hint: `one of ${modes.join(', ')}` })
  if (asked === 'auto') return session.stderr.isTTY === true ? 'tty' : 'plain'
  return asked as Exclude<ProgressMode, 'auto'>
}

/** `phase` is the word in the first line of a live display: `Building`, `Pulling`. */
export function createRenderer(mode: Exclude<ProgressMode, 'auto'>, phase: string, session: Session): Renderer {
  if (mode === 'plain') return plainRenderer((text) => session.stderr.write(text))
  if (mode === 'rawjson') return rawJsonRenderer((text) => session.stderr.write(text))
  if (mode === 'tty') return ttyRenderer(session.terminal, { phase, color: !session.env['NO_COLOR'] })
  return { event: () => undefined, finish: () => undefined }
}
