import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { expect, test } from '@jest/globals'
import { closeFd, openRoot, setXattr } from '@ts-oci/runtime'
import { describeWith } from '@ts-oci/testing'
import fc from 'fast-check'
import { decodeTable, encodeTable } from '../store/table-codec.ts'
import { contentChunks, isSameContent } from './file-bytes.ts'
import { makeEntry, type EntryFields } from '../view/entry.ts'
import { layerTable } from '../layers/layers.test.helper.ts'
import { mountLines, viewLines, withOverlay } from './overlay.test.helper.ts'
import type { LayerEntry, LayerTable, View } from '../view/types.ts'
import { diffUpper, walkUpper } from './upper.ts'
import { createChainView } from '../view/view.ts'

const layer = (...entries: EntryFields[]): LayerTable => ({ entries: entries.map(makeEntry) })
const directory = (path: string): EntryFields => ({ path, type: 'directory', mode: 0o755 })
const bytes = Buffer.from('old\n')
// struct vfs_cap_data of version 2, effective, CAP_NET_RAW permitted (capabilities(7)).
const CAP_NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex')
const file = (path: string, mtimeNsec = 0): EntryFields => ({
  path,
  type: 'file',
  mode: 0o644,
  size: 4,
  mtimeSec: 1_600_000_000,
  mtimeNsec,
  content: { kind: 'inline', bytes },
})

const lines = (entries: readonly LayerEntry[]): string[] =>
  entries
    .filter((entry) => entry.isTimeOnly !== true)
    .map((entry) => `${entry.type} ${entry.path}${entry.type === 'hardlink' ? ` -> ${entry.link}` : ''}`)

/** What a shell script leaves of these layers: the layer of the step, and its view beside what the mount showed. */
async function changesOf(
  tables: readonly LayerTable[],
  script: string | ((merged: string) => void),
): Promise<{
  readonly changes: readonly LayerEntry[]
  readonly view: View
  readonly mounted: readonly string[]
  readonly contents: ReadonlyMap<string, string>
}> {
  const lower = createChainView(tables)
  let mounted: readonly string[] = []
  let changes: readonly LayerEntry[] = []
  const contents = new Map<string, string>()
  await withOverlay(
    tables,
    { writable: true },
    ({ merged, root }) => {
      if (typeof script === 'string') execFileSync('sh', ['-euc', script], { cwd: merged })
      else script(merged)
      mounted = mountLines(root)
    },
    async (upper) => {
      changes = await diffUpper({
        upper: walkUpper({ upper, xattrs: 'trusted', records: 'none' }),
        lower,
        compare: async (pairs) => pairs.map((pair) => isSameContent(pair.lower, pair.upper)),
      })
      for (const entry of changes)
        if (entry.type === 'file') contents.set(entry.path, [...contentChunks(entry)].join(''))
    },
  )
  return { changes, view: createChainView([...tables, { entries: changes }]), mounted, contents }
}

describeWith(['root', 'mount'], 'the layer of a step', () => {
  test('a file that was opened for writing, touched back or copied up is no change', async () => {
    const { changes } = await changesOf(
      [layer(directory('a'), file('a/x', 5), file('a/y'), file('a/z'))],
      ': >> a/x; chmod 600 a/y; chmod 644 a/y; cp -p a/z z; mv z a/z',
    )
    expect(lines(changes)).toEqual([])
  })

  test('a changed file brings its parents, and nothing else of them', async () => {
    const { changes, contents } = await changesOf(
      [layer(directory('a'), directory('a/b'), file('a/b/x'), file('a/b/y'))],
      'echo new > a/b/x',
    )
    expect(lines(changes)).toEqual(['directory a', 'directory a/b', 'file a/b/x'])
    expect(contents.get('a/b/x')).toBe('new\n')
  })

  test('content that differs under equal size and whole seconds is a change', async () => {
    const { changes } = await changesOf([layer(file('x'))], 'echo new > x; touch -d @1600000000 x')
    expect(lines(changes)).toEqual(['file x'])
  })

  test('a directory that was deleted and made again is one whiteout a vanished name', async () => {
    const base = layer(directory('d'), file('d/a'), directory('d/s'), file('d/s/x'), file('d/keep'))
    const { changes } = await changesOf([base], 'rm -r d; mkdir d; echo k > d/keep; mkdir d/s')
    expect(lines(changes)).toEqual(['directory d', 'whiteout d/a', 'file d/keep', 'directory d/s', 'whiteout d/s/x'])
  })

  test('a vanished directory is one whiteout', async () => {
    const { changes } = await changesOf([layer(directory('d'), file('d/a'), directory('e'))], 'rm -r d')
    expect(lines(changes)).toEqual(['whiteout d'])
  })

  test('a directory whose time alone changed is no change, but views see the time', async () => {
    const tables = [layer(directory('d'), directory('d/e'), file('d/a'), directory('f'))]
    const { changes } = await changesOf(tables, 'echo x > d/b; rm d/b; touch -d @1700000001.5 d d/e')
    expect(lines(changes)).toEqual([])
    const view = createChainView([...tables, decodeTable(encodeTable({ entries: changes }))])
    expect(['d', 'd/e', 'f'].map((path) => view.entry(path)?.mtimeSec)).toEqual([1_700_000_001, 1_700_000_001, 0])
    expect(view.entry('d/e')?.mtimeNsec).toBe(500_000_000)
  })

  test('directories of which only the time is new stand among the changes in order, and are no parents', async () => {
    const tables = [layer(directory('a'), directory('d'), directory('d/e'), directory('z'))]
    const { changes } = await changesOf(tables, 'touch a d/e z; echo x > d/f; mv d/f d/g')
    expect(lines(changes)).toEqual(['directory d', 'file d/g'])
    expect(changes.map(({ path }) => path)).toEqual(['a', 'd', 'd/e', 'd/g', 'z'])
  })

  test('the first of several new names has the data, and a link to a file below is a copy', async () => {
    const { changes, contents } = await changesOf([layer(file('below', 7))], 'ln below a; echo n > b; ln b c')
    expect(lines(changes)).toEqual(['file a', 'file b', 'hardlink c -> b'])
    expect(contents.get('a')).toBe('old\n')
  })

  test('in views a link to a file below is that file, after the table was stored as well', async () => {
    const tables = [layer(file('below', 7), file('old', 7))]
    const { changes } = await changesOf(tables, 'ln below a; ln below z; echo n > b')
    const view = createChainView([...tables, decodeTable(encodeTable({ entries: changes }))])
    const keys = ['a', 'below', 'z', 'b', 'old'].map((path) => view.entry(path)?.linkKey)
    expect(keys[0]).toBeDefined()
    expect(keys).toEqual([keys[0], keys[0], keys[0], undefined, undefined])
    expect(lines(changes)).toEqual(['file a', 'file b', 'hardlink z -> a'])
  })

  test('a file in place of a directory and the reverse need no whiteouts', async () => {
    const { changes } = await changesOf(
      [layer(directory('d'), file('d/a'), file('f'))],
      'rm -r d f; echo x > d; mkdir f; echo y > f/b',
    )
    expect(lines(changes)).toEqual(['file d', 'directory f', 'file f/b'])
  })

  test('sockets are left out, fifos and devices are not', async () => {
    const { changes } = await changesOf(
      [layer(directory('d'))],
      'mkfifo p; mknod null c 1 3; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'s\')"',
    )
    expect(lines(changes)).toEqual(['character null', 'fifo p'])
    expect(changes[0]).toMatchObject({ devMajor: 1, devMinor: 3 })
  })

  test('file capabilities are kept, other attributes are not', async () => {
    const { changes } = await changesOf([layer(directory('d'))], (merged) => {
      writeFileSync(`${merged}/f`, 'x')
      const root = openRoot(merged)
      setXattr(root, 'f', 'security.capability', CAP_NET_RAW)
      setXattr(root, 'f', 'trusted.note', Buffer.from('hi'))
      closeFd(root)
    })
    expect([...(changes[0]?.xattrs ?? [])]).toEqual([['security.capability', CAP_NET_RAW]])
  })

  test('a capability alone is a change', async () => {
    const { changes } = await changesOf([layer(file('f'))], (merged) => {
      const root = openRoot(merged)
      setXattr(root, 'f', 'security.capability', CAP_NET_RAW)
      closeFd(root)
    })
    expect(lines(changes)).toEqual(['file f'])
  })

  test('laid over what was below, it shows what the step saw', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(layerTable, { minLength: 1, maxLength: 3 }),
        fc.array(operation, { minLength: 1, maxLength: 8 }),
        async (tables, operations) => {
          const { view, mounted } = await changesOf(tables, (merged) => {
            for (const one of operations) perform(merged, one)
          })
          expect(unlinked(viewLines(view))).toEqual(unlinked(mounted))
        },
      ),
      { numRuns: 60 },
    )
  }, 120_000)
})

// Directories that only got a new time are in no layer (BuildKit), and a link to a file below becomes a copy.
const unlinked = (all: readonly string[]): string[] =>
  all.map((line) => line.replace(/ =.*$/, '').replace(/^(\S+ directory \S+ \S+ \S+) \S+/, '$1'))

const NAMES = ['a', 'b', 'a-b', 'c'] as const
const path = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
type Operation = {
  readonly kind: 'write' | 'append' | 'mkdir' | 'remove' | 'rename' | 'chmod' | 'symlink' | 'link' | 'touch'
  readonly path: string
  readonly other: string
}
const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom('write', 'append', 'mkdir', 'remove', 'remove', 'rename', 'chmod', 'symlink', 'link', 'touch'),
  path,
  other: path,
})

/** One change as a program makes it; one that cannot be made changes nothing. */
function perform(merged: string, { kind, path: name, other }: Operation): void {
  const at = `${merged}/${name}`
  const to = `${merged}/${other}`
  try {
    // Generated links can lead anywhere, and the test must stay inside.
    if (hasLinkOnTheWay(merged, name) || hasLinkOnTheWay(merged, other)) return
    if (kind === 'write') writeFileSync(at, `new ${name}`, { flag: 'wx' })
    else if (kind === 'append') appendTo(at)
    else if (kind === 'mkdir') mkdirSync(at)
    else if (kind === 'remove') rmSync(at, { recursive: true })
    else if (kind === 'rename') renameSync(at, to)
    else if (kind === 'chmod') chmodSync(at, 0o700)
    else if (kind === 'symlink') symlinkSync('a/b', at)
    else if (kind === 'link') linkSync(at, to)
    else utimesSync(at, 1_500_000_000, 1_500_000_000)
  } catch {
    // ENOENT, ENOTDIR, EEXIST, EXDEV and the like.
  }
}

function appendTo(at: string): void {
  if (lstatSync(at).isFile()) writeFileSync(at, `${readFileSync(at, 'latin1')}+`)
}

function hasLinkOnTheWay(merged: string, name: string): boolean {
  const parts = name.split('/')
  for (let length = 1; length <= parts.length; length++) {
    const stat = lstatSync(`${merged}/${parts.slice(0, length).join('/')}`, { throwIfNoEntry: false })
    if (stat?.isSymbolicLink() === true || stat?.isFIFO() === true) return true
    if (stat?.isDirectory() !== true) return false
  }
  return false
}
