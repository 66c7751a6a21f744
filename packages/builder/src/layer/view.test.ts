import { mkdirSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { closeFd, openRoot, statFd, statResolved, walkTree, type PackedEntries } from '@ts-oci/runtime'
import { checkTool, describeWith, temporaryDirectory } from '@ts-oci/testing'
import fc from 'fast-check'
import { makeEntry, type EntryFields } from './entry.ts'
import { layerTable, lookupPath } from './layers.testing.ts'
import { materializeLayer } from './materialize.ts'
import type { LayerTable, View, ViewEntry } from './types.ts'
import { createChainView } from './view.ts'

const layer = (...entries: EntryFields[]): LayerTable => ({ entries: entries.map(makeEntry) })
const paths = (view: View): string[] => [...view.walk('')].map((entry) => entry.path)
const directory = (path: string): EntryFields => ({ path, type: 'directory', mode: 0o755 })
const file = (path: string): EntryFields => ({ path, type: 'file', mode: 0o644 })
const symlink = (path: string, link: string): EntryFields => ({ path, type: 'symlink', mode: 0o777, link })

test('a later layer replaces a file and keeps its neighbours', () => {
  const view = createChainView([layer(directory('a'), file('a/x'), file('a/y')), layer(directory('a'), { ...file('a/x'), mode: 0o600 })])
  expect(paths(view)).toEqual(['a', 'a/x', 'a/y'])
  expect(view.entry('a/x')).toMatchObject({ mode: 0o600 })
})

test('a whiteout removes a name and everything below it', () => {
  expect(paths(createChainView([layer(directory('a'), directory('a/d'), file('a/d/x')), layer(directory('a'), { path: 'a/d', type: 'whiteout' })]))).toEqual(['a'])
})

test('an opaque whiteout hides everything below it and nothing of its own layer', () => {
  const view = createChainView([layer(directory('a'), file('a/old')), layer(directory('a'), { path: 'a', type: 'opaque' }, file('a/new'))])
  expect(paths(view)).toEqual(['a', 'a/new'])
})

test('a file in place of a directory takes its content away, and a directory in place of a file begins empty', () => {
  expect(paths(createChainView([layer(directory('a'), file('a/x')), layer(file('a'))]))).toEqual(['a'])
  expect(paths(createChainView([layer(file('a')), layer(directory('a'), file('a/x'))]))).toEqual(['a', 'a/x'])
})

test('a directory that a layer does not list keeps what it is below', () => {
  const view = createChainView([layer({ ...directory('tmp'), mode: 0o1777 }), layer(file('tmp/x'))])
  expect(view.entry('tmp')).toMatchObject({ mode: 0o1777 })
})

test('names of one file share a key, and one that is replaced later leaves the others', () => {
  const base = layer(file('a'), { path: 'b', type: 'hardlink', link: 'a' }, { path: 'c', type: 'hardlink', link: 'b' })
  const view = createChainView([base, layer({ ...file('a'), mode: 0o600 })])
  expect(view.entry('b')).toMatchObject({ type: 'file', mode: 0o644 })
  expect(view.entry('b')?.linkKey).toBe(view.entry('c')?.linkKey)
  expect(view.entry('a')?.linkKey).toBeUndefined()
})

test('a hard link to nothing is refused', () => {
  expect(() => createChainView([layer({ path: 'b', type: 'hardlink', link: 'a' })])).toThrow(expect.objectContaining({ code: 'OCI_LAYER_INVALID' }))
})

test('symlinks are resolved inside the root, and a missing end is still named', () => {
  const view = createChainView([layer(directory('d'), symlink('d/up', '../../etc'), symlink('d/abs', '/d/up'), directory('etc'), file('etc/x'), symlink('gone', '/no/where'))])
  expect(view.resolve('d/abs/x')).toBe('etc/x')
  expect(view.lookup('d/up/x')?.path).toBe('etc/x')
  expect(view.resolve('gone/y')).toBe('no/where/y')
  expect(view.lookup('gone')).toBeUndefined()
  expect(view.lookup('gone', { followLast: false })).toMatchObject({ type: 'symlink' })
})

test('links that lead in a circle are an error', () => {
  const view = createChainView([layer(symlink('a', 'b'), symlink('b', 'a'))])
  expect(() => view.lookup('a/x')).toThrow(expect.objectContaining({ code: 'OCI_FILE_OP_FAILED', details: expect.objectContaining({ errno: 'ELOOP' }) }))
})

test('a chain of one layer more shares what the layer does not touch', () => {
  const base = layer(directory('a'), file('a/x'), directory('b'), file('b/y'))
  const lower = createChainView([base])
  const upper = createChainView([base, layer(directory('b'), file('b/z'))])
  expect(paths(lower)).toEqual(['a', 'a/x', 'b', 'b/y'])
  expect(paths(upper)).toEqual(['a', 'a/x', 'b', 'b/y', 'b/z'])
  expect(upper.entry('a/x')).toBe(lower.entry('a/x'))
})

describeWith(['root', 'mount'], 'beside the overlay of the kernel', () => {
  test('a view shows what the mount of the same layers shows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(layerTable, { minLength: 1, maxLength: 4 }), fc.array(lookupPath, { maxLength: 12 }), async (tables, lookups) => {
        await withOverlay(tables, (root) => {
          const view = createChainView(tables)
          expect(viewLines(view)).toEqual(mountLines(root))
          for (const path of lookups) expect(viewLookup(view, path)).toEqual(mountLookup(root, path))
        })
      }),
      { numRuns: 100 },
    )
  }, 120_000)
})

async function withOverlay(tables: readonly LayerTable[], check: (root: number) => void): Promise<void> {
  await using temporary = await temporaryDirectory('view-test-')
  const lowers = tables.map((table, index) => {
    const destination = temporary.join(`layer${index}`)
    mkdirSync(destination)
    materializeLayer({ entries: table.entries, destination, xattrs: 'trusted', owners: 'keep' })
    return destination
  })
  // An overlay without an upper directory wants two lower ones.
  mkdirSync(temporary.join('empty'))
  mkdirSync(temporary.join('merged'))
  const options = `lowerdir=${[...lowers.toReversed(), temporary.join('empty')].join(':')},redirect_dir=nofollow,metacopy=off,index=off,xino=off`
  await checkTool('mount', ['-t', 'overlay', '-o', options, 'overlay', temporary.join('merged')])
  try {
    const root = openRoot(temporary.join('merged'))
    try {
      check(root)
    } finally {
      closeFd(root)
    }
  } finally {
    await checkTool('umount', [temporary.join('merged')])
  }
}

function viewLines(view: View): string[] {
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

function mountLines(root: number): string[] {
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

function viewLookup(view: View, path: string): string {
  try {
    const entry = view.lookup(path)
    return entry === undefined ? 'missing' : `${entry.type} ${entry.path === '' ? '' : `${entry.mode} ${entry.mtimeSec}`}`
  } catch {
    return 'loop'
  }
}

function mountLookup(root: number, path: string): string {
  try {
    const stat = statResolved(root, path, 'in-root', true)
    if (stat === undefined) return 'missing'
    return `${stat.type} ${stat.ino === statFd(root).ino ? '' : `${stat.mode} ${stat.mtimeSec}`}`
  } catch {
    return 'loop'
  }
}
