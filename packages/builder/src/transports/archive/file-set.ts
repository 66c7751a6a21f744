import type { Digest } from '../../oci/digest.ts'

/** The files of an image archive, whatever it lies in: found by name, read from any offset. */
export interface FileSet extends AsyncDisposable {
  /** What error messages call it. */
  readonly name: string
  /** Follows links; undefined where nothing is. @throws OCI_ARCHIVE_INVALID for a link that leads nowhere or out */
  find(name: string): ArchivedFile | undefined
}

export interface ArchivedFile {
  readonly size: number
  /** Where its bytes are: in a file that may hold others as well. */
  readonly path: string
  readonly offset: number
  /** Known where its bytes passed already: then it is a file of its own, and may be moved away. */
  readonly digest?: Digest
}

/** Far above what any tool writes, and a bound for what a stranger can make us keep. */
export const MAX_ARCHIVE_ENTRIES = 200_000
