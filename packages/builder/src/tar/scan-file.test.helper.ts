import { closeFd, openPath, OpenFlags, readFully } from '@ts-oci/runtime'
import type { LayerTable } from '../view/types.ts'
import { createLayerScanner, type ScanOptions } from './scan.ts'

const CHUNK_BYTES = 1 << 20

/** Reads a plain tar file into its table. Ranges name `options.file`, by default the tar itself. */
export function scanTarFile(path: string, options: ScanOptions = {}): LayerTable {
  const scanner = createLayerScanner({ file: path, ...options })
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  const fd = openPath(path, OpenFlags.read)
  try {
    for (;;) {
      const count = readFully(fd, buffer, 0, CHUNK_BYTES, null)
      if (count === 0) return scanner.finish()
      scanner.push(buffer.subarray(0, count))
    }
  } finally {
    closeFd(fd)
  }
}
