import type { LayerEntry } from '../../view/types.ts'
import type { ReadFile } from './owner.ts'

/** What a file op may ask of the build around it. */
export interface FileOpContext {
  /** The clock of new directories and heredoc files. Milliseconds of the Unix epoch. */
  readonly nowMs: number
  readonly readFile: ReadFile
  /** Where the files of unpacked archives may lie; they must stay until the entries are packed or materialised. */
  readonly temporaryDirectory: string
  /** Makes contents of the kind `layer` readable. */
  readonly resolveContents?: (entries: readonly LayerEntry[]) => Promise<readonly LayerEntry[]>
  /** Compares files where they may be read: trees of foreign owners are not for this process. Default: reads them here. */
  readonly compareFiles?: (pairs: readonly (readonly [LayerEntry, LayerEntry])[]) => Promise<readonly boolean[]>
  readonly signal?: AbortSignal
}
