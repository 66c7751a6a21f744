import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes of the files of a tree; what may not be read counts as nothing. */
export function treeSize(directory: string): number {
  let bytes = 0
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      bytes += entry.isDirectory() ? treeSize(path) : lstatSync(path).size
    }
  } catch {
    return bytes
  }
  return bytes
}
