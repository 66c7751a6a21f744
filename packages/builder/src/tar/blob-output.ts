import type { Digest, DiffID } from '../oci/digest.ts'

/** What a blob with a table of contents is, besides its bytes. */
export interface IndexedBlob {
  /** Of its descriptor: where the table is. */
  readonly annotations: Readonly<Record<string, string>>
  /** Of the tar that it holds, where that is not the layer's own. */
  readonly diffId?: DiffID
}

export interface CompressedFile extends Partial<IndexedBlob> {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** A new file, hashed while it is written. */
export interface Output {
  write(bytes: Uint8Array): void
  finish(): CompressedFile
  close(): void
}
