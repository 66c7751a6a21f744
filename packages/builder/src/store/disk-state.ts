import { statfsSync } from 'node:fs'

/** Of the disk of the store. */
export function diskOf(path: string): { readonly totalBytes: number; readonly freeBytes: number } {
  const { blocks, bfree, bsize } = statfsSync(path)
  return { totalBytes: blocks * bsize, freeBytes: bfree * bsize }
}
