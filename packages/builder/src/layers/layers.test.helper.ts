import fc from 'fast-check'
import { makeEntry } from '../view/entry.ts'
import { orderLinks, sortEntries } from '../tar/entry-order.ts'
import type { LayerEntry, LayerTable } from '../view/types.ts'

/** What stands at a name of a generated layer. */
type Node =
  | { readonly kind: 'file'; readonly content: string; readonly mode: number; readonly owner: number }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'whiteout' }
  | { readonly kind: 'fifo'; readonly mode: number }
  | { readonly kind: 'link' }
  | {
      readonly kind: 'directory'
      readonly mode: number
      readonly owner: number
      readonly isOpaque: boolean
      readonly children: Readonly<Record<string, Node>>
    }

// Few names, so that layers meet; bytes that order otherwise than text; names that a slash orders.
const NAMES = ['a', 'b', 'a-b', 'é', '\xff'] as const
const TARGETS = ['/a', 'a', 'b/a', '../b', '../../a', '/b/a', '/', '.', 'missing/x', '/a-b/b', '\xff'] as const
const MODES = [0o644, 0o755, 0o4711, 0o600, 0o1777, 0o2750] as const

const leaf: fc.Arbitrary<Node> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('file' as const),
      content: fc.constantFrom('', 'x', 'yy', 'zz'),
      mode: fc.constantFrom(...MODES),
      owner: fc.constantFrom(0, 7, 70_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('symlink' as const), target: fc.constantFrom(...TARGETS) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'whiteout' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fifo' as const), mode: fc.constantFrom(...MODES) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'link' as const }) },
)

const { directory } = fc.letrec<{ node: Node; directory: Node }>((tie) => ({
  node: fc.oneof({ maxDepth: 3, depthIdentifier: 'layer' }, leaf, tie('directory')),
  directory: fc.record({
    kind: fc.constant('directory' as const),
    mode: fc.constantFrom(...MODES),
    owner: fc.constantFrom(0, 7),
    isOpaque: fc.boolean(),
    children: fc.dictionary(fc.constantFrom(...NAMES), tie('node'), { maxKeys: 4, noNullPrototype: true }),
  }),
}))

/** A layer as a step or another builder may have left it: whiteouts, opaque directories, links of every kind. */
export const layerTable: fc.Arbitrary<LayerTable> = fc
  .dictionary(fc.constantFrom(...NAMES), fc.oneof(leaf, directory, directory), {
    minKeys: 1,
    maxKeys: 4,
    noNullPrototype: true,
  })
  .map((children) => {
    const entries: LayerEntry[] = []
    addChildren('', children, entries)
    return { entries: orderLinks(sortEntries(entries)) }
  })

/** A path to look up: components that exist, and some that do not. */
export const lookupPath: fc.Arbitrary<string> = fc
  .array(fc.constantFrom(...NAMES, 'missing'), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'))

function addChildren(directoryPath: string, children: Readonly<Record<string, Node>>, entries: LayerEntry[]): void {
  for (const [name, node] of Object.entries(children)) {
    const path = directoryPath === '' ? name : `${directoryPath}/${name}`
    addNode(path, node, entries)
  }
}

function addNode(path: string, node: Node, entries: LayerEntry[]): void {
  const time = { mtimeSec: 1_600_000_000 + entries.length, mtimeNsec: entries.length * 1000 }
  switch (node.kind) {
    case 'directory':
      entries.push(makeEntry({ path, type: 'directory', mode: node.mode, uid: node.owner, gid: node.owner, ...time }))
      if (node.isOpaque) entries.push(makeEntry({ path, type: 'opaque' }))
      addChildren(path, node.children, entries)
      return
    case 'whiteout':
      entries.push(makeEntry({ path, type: 'whiteout' }))
      return
    case 'symlink':
      entries.push(makeEntry({ path, type: 'symlink', mode: 0o777, link: node.target, ...time }))
      return
    case 'fifo':
      entries.push(makeEntry({ path, type: 'fifo', mode: node.mode, ...time }))
      return
    case 'link': {
      // To the last file that the layer has so far; without one there is nothing to link.
      const target = entries.findLast((entry) => entry.type === 'file')
      if (target !== undefined) entries.push(makeEntry({ path, type: 'hardlink', link: target.path }))
      return
    }
    case 'file': {
      const bytes = Buffer.from(node.content)
      const content = bytes.length > 0 ? ({ kind: 'inline', bytes } as const) : undefined
      entries.push(
        makeEntry({
          path,
          type: 'file',
          mode: node.mode,
          uid: node.owner,
          gid: node.owner,
          size: bytes.length,
          content,
          ...time,
        }),
      )
    }
  }
}
