import { describe, expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import { createTableBounds } from './table-bounds.ts'
import { createTableBuilder } from './table.ts'
import { applyLayer, emptyTree, nodeAt } from '../view/tree.ts'
import { impliedDirectories } from '../view/implied.ts'
import { createChainView } from '../view/view.ts'
import type { TarEntry } from './tar-reader.ts'
import type { LayerEntry } from '../view/types.ts'

function tarEntry(name: string, fields: Partial<TarEntry> = {}): TarEntry {
  return {
    name,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeSec: 1,
    mtimeNsec: 0,
    link: '',
    devMajor: 0,
    devMinor: 0,
    xattrs: undefined,
    dataOffset: 0,
    ...fields,
  }
}

const file = (name: string, mode = 0o644): TarEntry => tarEntry(name, { mode })
// Its header says the mode of the file that it names: what it says is what the file gets.
const link = (name: string, target: string): TarEntry => tarEntry(name, { type: 'hardlink', link: target, mode: 0o600 })
const directory = (name: string): TarEntry => tarEntry(name, { type: 'directory', mode: 0o755 })

function* times<Item>(count: number, make: (i: number) => Item): Generator<Item> {
  for (let i = 0; i < count; i++) yield make(i)
}

function tableOf(entries: Iterable<TarEntry>): readonly LayerEntry[] {
  const builder = createTableBuilder()
  for (const entry of entries) builder.add(entry, undefined)
  return builder.finish().entries
}

/** What a quadratic reading of as many entries would take minutes for. */
function expectQuick<Result>(work: () => Result): Result {
  const startMs = processorMs()
  const result = work()
  expect(processorMs() - startMs).toBeLessThan(6000)
  return result
}

const MANY = 60_000

describe('the table of a layer is read in time that grows with its entries alone', () => {
  test('with one name again and again among many others', () => {
    const entries = expectQuick(() => tableOf([...times(MANY, (i) => file(`f${i}`)), ...times(MANY, () => file('f0'))]))
    expect(entries).toHaveLength(MANY)
  })

  test('with every name of a file replaced in turn', () => {
    const entries = expectQuick(() =>
      tableOf([
        file('a', 0o600),
        ...times(MANY, (i) => link(`l${i}`, 'a')),
        file('a'),
        ...times(MANY - 1, (i) => file(`l${i}`)),
      ]),
    )
    expect(entries.find(({ path }) => path === `l${MANY - 1}`)).toMatchObject({ type: 'file', mode: 0o600 })
  })

  test('with a name that is a directory and a file by turns, among many directories', () => {
    const entries = expectQuick(() =>
      tableOf([
        ...times(MANY, (i) => directory(`d${i}`)),
        ...[...times(MANY, () => [directory('x'), file('x/y'), file('x')])].flat(),
      ]),
    )
    expect(entries).toHaveLength(MANY + 1)
  })

  test('with a chain of as many hard links, to a file of the layer below', () => {
    const below = applyLayer(emptyTree(), tableOf([file('l0', 0o600)]))
    const chain = expectQuick(() => tableOf(times(MANY, (i) => link(`l${MANY - i}`, `l${MANY - i - 1}`))))
    const merged = expectQuick(() => applyLayer(below, chain))
    expect(nodeAt(merged, `l${MANY}`)?.entry).toMatchObject({ type: 'file', mode: 0o600 })
  })

  test('with a circle of as many hard links, which names no file', () => {
    const circle = expectQuick(() => tableOf(times(MANY, (i) => link(`l${i}`, `l${(i + 1) % MANY}`))))
    expect(() => applyLayer(emptyTree(), circle)).toThrow('which is no file')
  })

  test('with directories that nobody lists', () => {
    const lower = { entries: tableOf(times(20_000, (i) => directory(`d${i}`))) }
    const upper = { entries: tableOf(times(20_000, (i) => file(`d${i}/f`))) }
    const tables = [lower, upper]
    expect(expectQuick(() => impliedDirectories(tables, createChainView(tables)))).toHaveLength(20_000)
  })

  test('with deep paths', () => {
    const deep = 'd/'.repeat(2000)
    const entries = expectQuick(() => tableOf(times(20_000, (i) => file(`${deep}f${i}`))))
    const walked = expectQuick(() => [...createChainView([{ entries }]).walk('')])
    expect(walked).toHaveLength(20_000 + 2000)
  })

  test('with directories of the layer below that are hidden one by one', () => {
    const lower = applyLayer(emptyTree(), tableOf(times(MANY / 2, (i) => file(`d${i}/x`))))
    const upper = tableOf([
      ...times(MANY / 2, (i) => file(`d${i}/.wh..wh..opq`)),
      ...times(MANY / 2, (i) => file(`d${i}/y`)),
    ])
    const merged = expectQuick(() => applyLayer(lower, upper))
    expect(nodeAt(merged, 'd7/x')).toBeUndefined()
    expect(nodeAt(merged, 'd7/y')).toBeDefined()
  })
})

describe('other names of a file that is replaced', () => {
  const modes = (entries: readonly TarEntry[]): Record<string, unknown> =>
    Object.fromEntries([...createChainView([{ entries: tableOf(entries) }]).walk('')].map((e) => [e.path, e.mode]))

  test('keep it, and stay names of one file', () => {
    const tree = applyLayer(emptyTree(), tableOf([file('a', 0o600), link('b', 'a'), link('c', 'a'), file('a', 0o644)]))
    expect(['a', 'b', 'c'].map((path) => nodeAt(tree, path)?.entry.mode)).toEqual([0o644, 0o600, 0o600])
    expect(nodeAt(tree, 'b')?.entry.linkKey).toBe(nodeAt(tree, 'c')?.entry.linkKey)
  })

  test('keep it when the name that goes is itself a link that they name', () => {
    expect(modes([file('a', 0o600), link('b', 'a'), link('c', 'b'), file('b', 0o644)])).toEqual({
      a: 0o600,
      b: 0o644,
      c: 0o600,
    })
  })

  test('keep it when its directory is replaced', () => {
    expect(modes([directory('d'), file('d/a', 0o600), link('b', 'd/a'), file('d', 0o644)])).toEqual({
      b: 0o600,
      d: 0o644,
    })
  })
})

describe('a layer is refused', () => {
  test.each([
    ['a name', file('x'.repeat(4097)), 'has a name or target of 4097 bytes'],
    ['a link target', tarEntry('l', { type: 'symlink', link: 'x'.repeat(5000) }), 'has a name or target of 5000 bytes'],
    ['a NUL', file('a\0b'), 'has a NUL in it'],
  ])('that has %s which Linux does not know', (_, entry, message) => {
    expect(() => tableOf([entry])).toThrow(message)
  })

  test('that has more headers, or more bytes of names and attributes, than memory should hold', () => {
    const few = createTableBounds(2)
    few.take(file('a'))
    few.take(file('a'))
    expect(() => few.take(file('a'))).toThrow('more than 2 entries')
    const small = createTableBounds(10, 100)
    expect(() => small.take(tarEntry('a', { xattrs: new Map([['user.a', Buffer.alloc(95)]]) }))).toThrow(
      'more than 100 bytes of names and attributes',
    )
  })
})
