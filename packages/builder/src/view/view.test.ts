import { describe, expect, test } from '@jest/globals'
import { statFd, statResolved } from '@ts-oci/runtime'
import { describeWith, testWith } from '@ts-oci/testing'
import fc from 'fast-check'
import { makeEntry, type EntryFields } from './entry.ts'
import { impliedDirectories } from './implied.ts'
import { layerTable, lookupPath } from '../layers/layers.test.helper.ts'
import { mountLines, viewLines, withOverlay } from '../disk/overlay.test.helper.ts'
import type { LayerTable, View } from './types.ts'
import { createChainView } from './view.ts'

const layer = (...entries: EntryFields[]): LayerTable => ({ entries: entries.map(makeEntry) })
const paths = (view: View): string[] => [...view.walk('')].map((entry) => entry.path)
const directory = (path: string): EntryFields => ({ path, type: 'directory', mode: 0o755 })
const file = (path: string): EntryFields => ({ path, type: 'file', mode: 0o644 })
const symlink = (path: string, link: string): EntryFields => ({ path, type: 'symlink', mode: 0o777, link })

test('a later layer replaces a file and keeps its neighbours', () => {
  const view = createChainView([
    layer(directory('a'), file('a/x'), file('a/y')),
    layer(directory('a'), { ...file('a/x'), mode: 0o600 }),
  ])
  expect(paths(view)).toEqual(['a', 'a/x', 'a/y'])
  expect(view.entry('a/x')).toMatchObject({ mode: 0o600 })
})

test('a whiteout removes a name and everything below it', () => {
  expect(
    paths(
      createChainView([
        layer(directory('a'), directory('a/d'), file('a/d/x')),
        layer(directory('a'), { path: 'a/d', type: 'whiteout' }),
      ]),
    ),
  ).toEqual(['a'])
})

test('an opaque whiteout hides everything below it and nothing of its own layer', () => {
  const view = createChainView([
    layer(directory('a'), file('a/old')),
    layer(directory('a'), { path: 'a', type: 'opaque' }, file('a/new')),
  ])
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

test('a directory that no layer lists is as old as its unpacking, which is now', () => {
  const now = Date.now() / 1000
  expect(createChainView([layer(file('a/b/x'))]).entry('a/b')).toMatchObject({ mode: 0o755, uid: 0 })
  for (const path of ['a', 'a/b']) {
    const { mtimeSec } = createChainView([layer(file('a/b/x'))]).entry(path)!
    expect(Math.abs(now - mtimeSec)).toBeLessThan(600)
  }
})

test('names of one file share a key, and one that is replaced later leaves the others', () => {
  const base = layer(file('a'), { path: 'b', type: 'hardlink', link: 'a' }, { path: 'c', type: 'hardlink', link: 'b' })
  const view = createChainView([base, layer({ ...file('a'), mode: 0o600 })])
  expect(view.entry('b')).toMatchObject({ type: 'file', mode: 0o644 })
  expect(view.entry('b')?.linkKey).toBe(view.entry('c')?.linkKey)
  expect(view.entry('a')?.linkKey).toBeUndefined()
})

test('a hard link to nothing is refused', () => {
  expect(() => createChainView([layer({ path: 'b', type: 'hardlink', link: 'a' })])).toThrow(
    expect.objectContaining({ code: 'OCI_LAYER_INVALID' }),
  )
})

test('symlinks are resolved inside the root, and a missing end is still named', () => {
  const view = createChainView([
    layer(
      directory('d'),
      symlink('d/up', '../../etc'),
      symlink('d/abs', '/d/up'),
      directory('etc'),
      file('etc/x'),
      symlink('gone', '/no/where'),
    ),
  ])
  expect(view.resolve('d/abs/x')).toBe('etc/x')
  expect(view.lookup('d/up/x')?.path).toBe('etc/x')
  expect(view.resolve('gone/y')).toBe('no/where/y')
  expect(view.lookup('gone')).toBeUndefined()
  expect(view.lookup('gone', { followLast: false })).toMatchObject({ type: 'symlink' })
})

test('links that lead in a circle are an error', () => {
  const view = createChainView([layer(symlink('a', 'b'), symlink('b', 'a'))])
  expect(() => view.lookup('a/x')).toThrow(
    expect.objectContaining({ code: 'OCI_FILE_OP_FAILED', details: expect.objectContaining({ errno: 'ELOOP' }) }),
  )
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
      fc.asyncProperty(
        fc.array(layerTable, { minLength: 1, maxLength: 4 }),
        fc.array(lookupPath, { maxLength: 12 }),
        async (tables, lookups) => {
          await withOverlay(tables, { writable: false }, ({ root }) => {
            const view = createChainView(tables)
            expect(viewLines(view)).toEqual(mountLines(root))
            for (const path of lookups) expect(viewLookup(view, path)).toEqual(mountLookup(root, path))
          })
        },
      ),
      { numRuns: 100 },
    )
  }, 120_000)
})

function viewLookup(view: View, path: string): string {
  try {
    const entry = view.lookup(path)
    return entry === undefined
      ? 'missing'
      : `${entry.type} ${entry.path === '' ? '' : `${entry.mode} ${entry.mtimeSec}`}`
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

describe('directories that a layer does not list', () => {
  const base = layer({ ...directory('tmp'), mode: 0o1777 }, directory('usr'))
  const careless = layer(file('tmp/x'), file('new/y'))

  test('are named when the view and an overlay of the trees would differ', () => {
    const tables = [base, careless]
    expect(impliedDirectories(tables, createChainView(tables))).toMatchObject([{ path: 'tmp', mode: 0o1777 }])
  })

  test('are not when a later layer lists them, nor when nobody does', () => {
    const tables = [base, careless, layer({ ...directory('tmp'), mode: 0o700 })]
    expect(impliedDirectories(tables, createChainView(tables))).toEqual([])
    expect(impliedDirectories([careless], createChainView([careless]))).toEqual([])
  })

  test('bring their parents along', () => {
    const tables = [layer(directory('a'), { ...directory('a/b'), mode: 0o711 }), layer(file('a/b/x'))]
    expect(impliedDirectories(tables, createChainView(tables)).map((entry) => entry.path)).toEqual(['a', 'a/b'])
  })

  testWith(['root', 'mount'], 'are as the view says once their tree lies on top', async () => {
    const tables = [base, careless]
    const view = createChainView(tables)
    const isKnown = (line: string): boolean => !line.startsWith('new ')
    await withOverlay([...tables, { entries: impliedDirectories(tables, view) }], { writable: false }, ({ root }) => {
      expect(mountLines(root).filter(isKnown)).toEqual(viewLines(view).filter(isKnown))
    })
  })
})
