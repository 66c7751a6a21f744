import { makeEntry } from '../../view/entry.ts'
import { sortEntries } from '../../tar/entry-order.ts'
import type { EntryType, LayerEntry, View } from '../../view/types.ts'
import { createChainView } from '../../view/view.ts'

/** The clock of the tests: mtimes that equal it print as `now`. */
export const NOW_MS = 1_800_000_000_000

const TYPES: Readonly<Record<string, EntryType>> = {
  d: 'directory',
  f: 'file',
  l: 'symlink',
  h: 'hardlink',
  w: 'whiteout',
}

/**
 * Entries from lines `type mode uid:gid size mtime path[ -> link]`; a file's content is the text behind ` = `, and its
 * size that of the text.
 */
export function parseListing(text: string): LayerEntry[] {
  return sortEntries(
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .map(parseLine),
  )
}

function parseLine(line: string): LayerEntry {
  const match = /^(\w) (\d+) (\d+):(\d+) (\d+) (\d+|now) (\S+?)(?: -> (\S+))?(?: = (.*))?$/.exec(line)
  if (match === null) throw new Error(`not a line of a listing: ${line}`)
  const [, type, mode, uid, gid, size, mtime, path, link, content] = match
  const bytes =
    content === undefined
      ? undefined
      : Buffer.from(content.startsWith('base64:') ? Buffer.from(content.slice(7), 'base64') : `${content}\n`)
  return makeEntry({
    path: path!,
    type: TYPES[type!]!,
    mode: Number.parseInt(mode!, 8),
    uid: Number(uid),
    gid: Number(gid),
    size: bytes?.length ?? Number(size),
    mtimeSec: mtime === 'now' ? NOW_MS / 1000 : Number(mtime),
    link,
    content: bytes === undefined ? undefined : { kind: 'inline', bytes },
  })
}

/** The same lines of entries, as the tar will have them; contents are not shown. */
export function formatListing(entries: readonly LayerEntry[]): string[] {
  const packed = entries.filter((entry) => entry.isTimeOnly !== true)
  return packed.map((entry) => {
    const type = Object.keys(TYPES).find((key) => TYPES[key] === entry.type) ?? entry.type
    const mtime = entry.mtimeSec === NOW_MS / 1000 ? 'now' : String(entry.mtimeSec)
    const link = entry.link === undefined ? '' : ` -> ${entry.link}`
    return `${type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${entry.size} ${mtime} ${entry.path}${link}`
  })
}

export function viewOfListing(text: string): View {
  return createChainView([{ entries: parseListing(text) }])
}
