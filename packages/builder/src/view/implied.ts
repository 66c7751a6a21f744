import type { ByteString } from '../base/byte-string.ts'
import { parentPath } from './paths.ts'
import type { LayerEntry, LayerTable, View } from './types.ts'

/**
 * Directories that look otherwise in an overlay of the layers' trees than in their view. A layer may hold `tmp/x` and
 * not list `tmp`: its tree then has a `tmp` of root's with mode 0755, and an overlay shows the uppermost directory,
 * while the view (as containerd does) keeps the one that is listed below. A tree of these entries, laid on top, makes
 * the two equal. Sorted, parents included; empty for nearly every image.
 */
export function impliedDirectories(tables: readonly LayerTable[], view: View): LayerEntry[] {
  const isImplied = new Map<ByteString, boolean>()
  for (const table of tables) markDirectories(table, isImplied)
  let listed: ReadonlySet<ByteString> | undefined
  const needed = new Map<ByteString, LayerEntry>()
  for (const [path, implied] of isImplied) {
    if (!implied || !(listed ??= listedDirectories(tables)).has(path)) continue
    for (let at = path; at !== ''; at = parentPath(at)) {
      const entry = view.entry(at)
      if (entry?.type === 'directory') needed.set(at, entry)
    }
  }
  return [...needed.keys()].sort().map((path) => needed.get(path)!)
}

/** For each directory of a layer whether it is only implied; a later layer decides anew. */
function markDirectories(table: LayerTable, isImplied: Map<ByteString, boolean>): void {
  const known = new Set<ByteString>([''])
  for (const { path, type } of table.entries) {
    for (let at = parentPath(path); !known.has(at); at = parentPath(at)) {
      known.add(at)
      isImplied.set(at, true)
    }
    if (type !== 'directory') continue
    known.add(path)
    isImplied.set(path, false)
  }
}

function listedDirectories(tables: readonly LayerTable[]): ReadonlySet<ByteString> {
  return new Set(
    tables.flatMap((table) => table.entries.flatMap(({ path, type }) => (type === 'directory' ? [path] : []))),
  )
}
