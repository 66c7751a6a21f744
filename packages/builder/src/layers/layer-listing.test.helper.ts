import { join } from 'node:path'
import { scanTarFile } from '../tar/scan-file.test.helper.ts'
import type { DiffID } from '../oci/digest.ts'

/** Paths of a plain layer in a store, in the order of its tar. */
export function listLayer(store: string, diffId: DiffID): string[] {
  return scanTarFile(join(store, 'blobs', 'sha256', diffId.slice(7))).entries.map((entry) => entry.path)
}
