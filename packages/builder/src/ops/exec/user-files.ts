import type { ViewEntry } from '../../view/types.ts'

/** The files of accounts and groups, each read once for all steps that show it. */
export interface UserFiles {
  read(entry: ViewEntry, readFile: () => Promise<Uint8Array>): Promise<Uint8Array>
}

/** Larger ones are read again: what is remembered stays as long as the layer that holds it. */
const MAX_REMEMBERED_BYTES = 256 * 1024

export function createUserFiles(): UserFiles {
  // What a layer leaves alone is the same entry in the view of the next.
  const known = new WeakMap<ViewEntry, Promise<Uint8Array>>()
  return {
    read(entry, readFile) {
      const content = known.get(entry) ?? readFile()
      if (entry.size <= MAX_REMEMBERED_BYTES) known.set(entry, content)
      content.catch(() => known.delete(entry))
      return content
    },
  }
}
