import type { ByteString } from '../base/byte-string.ts'
import { makeEntry } from '../view/entry.ts'
import { comparePaths } from '../view/paths.ts'
import type { LayerEntry, LayerTable } from '../view/types.ts'

/** Sorts entries as a layer is; of one path a whiteout comes before the entry, and that before an opaque marker. */
export function sortEntries(entries: LayerEntry[]): LayerEntry[] {
  for (let i = 1; i < entries.length; i++) {
    // Nearly every producer walks in order: look before sorting.
    if (compareEntries(entries[i - 1]!, entries[i]!) > 0) return entries.sort(compareEntries)
  }
  return entries
}

function compareEntries(a: LayerEntry, b: LayerEntry): number {
  return comparePaths(a.path, b.path) || rank(a) - rank(b)
}

function rank(entry: LayerEntry): number {
  return entry.type === 'whiteout' ? 0 : entry.type === 'opaque' ? 2 : 1
}

/**
 * Of several names of one file the first in order carries the data, as in a tar that is written from the table; a tar
 * that we read may have had them in another order. Links to lower layers stay as they are.
 */
export function orderLinks(entries: LayerEntry[]): LayerEntry[] {
  const links = new Map<ByteString, ByteString>()
  for (const entry of entries) if (entry.type === 'hardlink') links.set(entry.path, entry.link!)
  if (links.size === 0) return entries
  const ownerOf = createOwnerFinder(links)
  const owners = new Set([...links.keys()].map(ownerOf))
  const files = indexEntries({ entries })
  const firstNames = new Map<ByteString, ByteString>()
  return entries.map((entry) => {
    const isOwner = owners.has(entry.path) && files.get(entry.path) === entry
    if (entry.type !== 'hardlink' && !isOwner) return entry
    const owner = entry.type === 'hardlink' ? ownerOf(entry.path) : entry.path
    const file = files.get(owner)
    if (file === undefined || file.type === 'hardlink' || file.type === 'directory') return entry
    const first = firstNames.get(owner)
    if (first === undefined) {
      firstNames.set(owner, entry.path)
      return entry.path === owner ? entry : { ...file, path: entry.path }
    }
    const fields = { ...file, path: entry.path, type: 'hardlink' as const, size: 0, link: first }
    return makeEntry({ ...fields, content: undefined, contentDigest: undefined })
  })
}

/** The name at the end of a chain of links. Each link is followed once, however many chains it is part of. */
function createOwnerFinder(links: ReadonlyMap<ByteString, ByteString>): (path: ByteString) => ByteString {
  const known = new Map<ByteString, ByteString>()
  return (path) => {
    const chain = new Set<ByteString>()
    let at = path
    for (let next = links.get(at); next !== undefined && !known.has(at) && !chain.has(at); next = links.get(at)) {
      chain.add(at)
      at = next
    }
    // A circle of links ends nowhere: each stands for itself, and no file of that name is found.
    const isCircle = chain.has(at)
    const owner = known.get(at) ?? at
    for (const link of chain) known.set(link, isCircle ? link : owner)
    return known.get(path) ?? owner
  }
}

/** The entry of each path, markers left out. */
function indexEntries(table: LayerTable): ReadonlyMap<ByteString, LayerEntry> {
  const found = new Map<ByteString, LayerEntry>()
  for (const entry of table.entries)
    if (entry.type !== 'whiteout' && entry.type !== 'opaque') found.set(entry.path, entry)
  return found
}
