import { mkdirSync } from 'node:fs'
import { closeFd, openRoot, walkTree, type PackedEntries } from '@ts-oci/runtime'
import { checkTool, temporaryDirectory } from '@ts-oci/testing'
import { materializeLayer } from './materialize.ts'
import type { LayerTable, View, ViewEntry } from '../view/types.ts'

export interface MountedOverlay {
  /** Where the merged tree is. */
  readonly merged: string
  /** Only with `writable`. */
  readonly upper: string
  /** A descriptor of the merged tree's root. */
  readonly root: number
}

/** Mounts the layers as a real overlay with the options that steps get, and unmounts it afterwards. */
export async function withOverlay(
  tables: readonly LayerTable[],
  options: { readonly writable: boolean },
  use: (overlay: MountedOverlay) => Promise<void> | void,
  after?: (upper: string) => Promise<void> | void,
): Promise<void> {
  await using temporary = await temporaryDirectory('overlay-test-')
  const lowers = tables.map((table, index) => {
    const destination = temporary.join(`layer${index}`)
    mkdirSync(destination)
    materializeLayer({ entries: table.entries, destination, xattrs: 'trusted', owners: 'keep' })
    return destination
  })
  for (const name of ['empty', 'merged', 'upper', 'work']) mkdirSync(temporary.join(name))
  const merged = temporary.join('merged')
  const upper = temporary.join('upper')
  // An overlay without an upper directory wants two lower ones.
  const lowerdir = [...lowers.toReversed(), temporary.join('empty')].join(':')
  const upperdir = options.writable ? `,upperdir=${upper},workdir=${temporary.join('work')}` : ''
  await checkTool('mount', [
    '-t',
    'overlay',
    '-o',
    `lowerdir=${lowerdir}${upperdir},redirect_dir=nofollow,metacopy=off,index=off,xino=off`,
    'overlay',
    merged,
  ])
  try {
    const root = openRoot(merged)
    try {
      await use({ merged, upper, root })
    } finally {
      closeFd(root)
    }
  } finally {
    await checkTool('umount', [merged])
  }
  await after?.(upper)
}

/** One line an entry; names of one file say which of them is the first. */
export function viewLines(view: View): string[] {
  const first = new Map<string, string>()
  return [...view.walk('')].map((entry) => {
    const { linkKey } = entry
    if (linkKey !== undefined && !first.has(linkKey)) first.set(linkKey, entry.path)
    return viewLine(entry, linkKey === undefined ? entry.path : first.get(linkKey)!)
  })
}

function viewLine(entry: ViewEntry, same: string): string {
  return `${entry.path} ${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${entry.size} ${entry.mtimeSec}.${entry.mtimeNsec} ${entry.link ?? ''} =${same}`
}

/** The same lines of a directory tree. */
export function mountLines(root: number): string[] {
  const walk: PackedEntries = walkTree(root, { links: true })
  const first = new Map<string, string>()
  return Array.from({ length: walk.length }, (_, index) => {
    const path = walk.path(index)
    const type = walk.type(index)
    // A merged directory's inode is its own; of files the numbers of several layers can meet, but then not their times.
    const key = type === 'directory' ? path : `${walk.dev(index)} ${walk.ino(index)} ${walk.mtimeSec(index)}`
    if (!first.has(key)) first.set(key, path)
    const size = type === 'file' ? walk.size(index) : 0
    return `${path} ${type} ${walk.mode(index).toString(8)} ${walk.uid(index)}:${walk.gid(index)} ${size} ${walk.mtimeSec(index)}.${walk.mtimeNsec(index)} ${walk.link(index) ?? ''} =${first.get(key)!}`
  })
}
