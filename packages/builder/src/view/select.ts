import type { ByteString } from '../base/byte-string.ts'
import { createPathFilter, type FilterPatterns, type FilterState, type PathFilter } from '../patterns/filter.ts'
import type { View, ViewEntry } from './types.ts'

/** An entry that was chosen, and its path below the directory where the choice began (`''` is that directory itself). */
export interface SelectedEntry {
  readonly entry: ViewEntry
  readonly relativePath: ByteString
}

/**
 * A file, or a directory with what the patterns leave of it: depth-first, a directory before its content. Patterns are
 * matched below `base`, which itself is always chosen; a directory that they exclude is there when something below it is.
 */
export function* selectEntries(
  view: View,
  base: ViewEntry,
  patterns: FilterPatterns,
): Generator<SelectedEntry, void, undefined> {
  yield { entry: base, relativePath: '' }
  if (base.type !== 'directory') return
  const prefix = base.path === '' ? 0 : base.path.length + 1
  const filter = createPathFilter(patterns)
  if (filter !== undefined) yield* selectBelow(view, base.path, prefix, filter, undefined)
  else for (const entry of view.walk(base.path)) yield { entry, relativePath: entry.path.slice(prefix) }
}

function* selectBelow(
  view: View,
  directory: ByteString,
  prefix: number,
  filter: PathFilter,
  state: FilterState | undefined,
): Generator<SelectedEntry, void, undefined> {
  for (const entry of view.children(directory)) {
    const relativePath = entry.path.slice(prefix)
    const isDirectory = entry.type === 'directory'
    const verdict = filter.judge(relativePath, isDirectory, state)
    if (verdict.kind === 'skip') continue
    if (verdict.kind === 'keep') yield { entry, relativePath }
    if (!isDirectory) continue
    const below = selectBelow(view, entry.path, prefix, filter, verdict.state)
    const first = below.next()
    if (first.done === true) continue
    if (verdict.kind === 'enter') yield { entry, relativePath }
    yield first.value
    yield* below
  }
}
