import { createDigester, type Digester } from '../oci/digest.ts'
import { createTableBuilder, OWN_TAR } from './table.ts'
import { contentInTar } from './tar-entry.ts'
import { createTarReader } from './tar-reader.ts'
import type { LayerEntry, LayerTable } from '../view/types.ts'

export interface ScanOptions {
  /** The file that the content ranges name; default: the layer's own tar ({@link OWN_TAR}). */
  readonly file?: string
  /** Also hash each file's bytes into `contentDigest`. */
  readonly hashFiles?: boolean
}

/** Makes the table of a layer while its plain tar streams past. */
export interface LayerScanner {
  push(chunk: Uint8Array): void
  /** Two blocks of zeros came: what follows is in no table. */
  readonly isFinished: boolean
  /** Throws OCI_LAYER_INVALID when the tar stops in the middle of an entry. */
  finish(): LayerTable
}

export function createLayerScanner(options: ScanOptions = {}): LayerScanner {
  const builder = createTableBuilder()
  const file = options.file ?? OWN_TAR
  let current: LayerEntry | undefined
  let digester: Digester | undefined
  const reader = createTarReader({
    entry(raw) {
      current = builder.add(raw, contentInTar(file, raw))
      digester = options.hashFiles === true && current?.type === 'file' ? createDigester() : undefined
    },
    ...(options.hashFiles === true
      ? {
          data: (piece: Buffer) => digester?.update(piece),
          hole: (sizeBytes: number) => digester !== undefined && hashZeros(digester, sizeBytes),
        }
      : {}),
    entryEnd() {
      if (digester !== undefined) builder.setDigest(current!, digester.digest())
      digester = undefined
    },
  })
  return {
    push: (chunk) => reader.push(chunk),
    get isFinished() {
      return reader.isFinished
    },
    finish() {
      reader.end()
      return builder.finish()
    },
  }
}

const CHUNK_BYTES = 1 << 20

function hashZeros(digester: Digester, sizeBytes: number): void {
  const zeros = Buffer.alloc(Math.min(sizeBytes, CHUNK_BYTES))
  for (let left = sizeBytes; left > 0; left -= zeros.length)
    digester.update(left < zeros.length ? zeros.subarray(0, left) : zeros)
}
