import { OWN_TAR } from '../tar/table.ts'
import type { LayerEntry, LayerTable } from '../view/types.ts'

/**
 * What a row's table keeps: offsets in the layer's own tar where they are known, and no directory of this machine.
 * Where bytes lie otherwise is asked again when they are read.
 */
export function toStored(entries: readonly LayerEntry[]): LayerTable {
  return { entries: entries.map(storedEntry) }
}

function storedEntry(entry: LayerEntry): LayerEntry {
  const { content, ...rest } = entry
  if (content === undefined) return entry
  // As it should be already, what the packer answers: tens of thousands of objects that need not be made.
  if (content.kind === 'range' && content.file === OWN_TAR) return entry
  return content.kind === 'range' ? { ...rest, content: { ...content, file: OWN_TAR } } : rest
}

/** A table of the store as a build reads it: each file's bytes are those of layer `id`, in whatever form it is. */
export function fromStored(table: LayerTable, id: string): LayerTable {
  return {
    entries: table.entries.map((entry) => {
      if (entry.type !== 'file' || entry.size === 0) return entry
      const { content } = entry
      const offset =
        content?.kind === 'range' ? { offset: content.offset, ...(content.map && { map: content.map }) } : {}
      return { ...entry, content: { kind: 'layer', layer: id, path: entry.path, ...offset } }
    }),
  }
}
