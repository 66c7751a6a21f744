import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const runtime = fileURLToPath(new URL('../../packages/runtime', import.meta.url))

/** The file at `from` needs the file at `to`; paths relative to the graph's root, without extension. */
type Edge = readonly [from: string, to: string]

describe('the rooms of the runtime', () => {
  const sources = filesBelow('src').filter((path) => path.endsWith('.ts') && !/\.test\.|^testing\//.test(path))
  const edges = sources.flatMap((file) => {
    const text = readFileSync(join(runtime, 'src', file), 'utf8')
    // Types count, and so does what is imported on demand.
    return [...text.matchAll(/(?:from\s+|import\()'(\.[^']+)'/g)].map(([, to]): Edge => [
      file,
      normalize(join(dirname(file), to!)),
    ])
  })

  test('no file needs itself in a circle, by a type or on demand either', () => {
    expect(edges.length).toBeGreaterThan(50)
    expect(circles(edges)).toEqual([])
  })

  test('no room needs itself in a circle', () => {
    const between = edges.map(([from, to]): Edge => [roomOf(from), roomOf(to)]).filter(([from, to]) => from !== to)
    expect(circles(between)).toEqual([])
  })

  test('a member of a family is named in its list alone', () => {
    const members = /^(isolation|network)\/[^/]+\//
    const known = edges.filter(([from, to]) => members.test(to) && dirname(from) !== dirname(to))
    expect([...new Set(known.map(([from]) => from))]).toEqual(['isolation/list.ts', 'network/list.ts'])
  })
})

describe('the native code', () => {
  // A header and the file that keeps its promises are one: who includes the one calls the other.
  const one = (path: string): string => path.replace(/\.[ch]$/, '')
  const edges = filesBelow('native')
    .filter((path) => /\.[ch]$/.test(path))
    .flatMap((file) => {
      const text = readFileSync(join(runtime, 'native', file), 'utf8')
      return [...text.matchAll(/^#include "([^"]+)"/gm)].map(([, to]): Edge => [
        one(file),
        one(normalize(join(dirname(file), to!))),
      ])
    })
    .filter(([from, to]) => from !== to)

  test('no file of the launcher or the addon needs itself in a circle', () => {
    expect(edges.length).toBeGreaterThan(50)
    expect(circles(edges)).toEqual([])
  })

  test('launcher and addon know what they share, and not each other', () => {
    const folderOf = (path: string): string => path.split('/')[0]!
    const shared = (from: string): readonly string[] =>
      folderOf(from) === 'launcher' ? ['common', 'network', 'supervisor'] : ['common']
    const foreign = edges.filter(
      ([from, to]) => folderOf(to) !== folderOf(from) && !shared(from).includes(folderOf(to)),
    )
    expect(foreign).toEqual([])
  })
})

function filesBelow(folder: string): string[] {
  const root = join(runtime, folder)
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
}

/** The folder of a file; a file at the top is a room of its own. */
function roomOf(path: string): string {
  return path.split('/')[0]!
}

/** One way around for each circle that a search from every node meets. */
function circles(edges: readonly Edge[]): string[] {
  const next = new Map<string, Set<string>>()
  for (const [from, to] of edges) next.set(from, (next.get(from) ?? new Set()).add(to))
  const done = new Set<string>()
  const found: string[] = []
  const visit = (node: string, path: readonly string[]): void => {
    if (path.includes(node)) {
      found.push([...path.slice(path.indexOf(node)), node].join(' → '))
      return
    }
    if (done.has(node)) return
    for (const to of next.get(node) ?? []) visit(to, [...path, node])
    done.add(node)
  }
  for (const node of next.keys()) visit(node, [])
  return found
}
