import { lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { closeFd, getXattr, openRoot, startExecutor, walkTree } from '@ts-oci/runtime'
import { checkTool, describeWith, temporaryDirectory, testWith } from '@ts-oci/testing'
import fc from 'fast-check'
import { isTsOciError } from '../base/errors.ts'
import { makeEntry, type EntryFields } from '../view/entry.ts'
import { createExtraction, extractLayer } from './extract.ts'
import { layerTable } from '../layers/layers.test.helper.ts'
import { materializeLayer } from './materialize.ts'
import { mountLines, viewLines } from './overlay.test.helper.ts'
import { packLayer } from './pack.ts'
import { scanTarFile } from '../tar/scan-file.test.helper.ts'
import { END, rawEntry } from '../tar/tar.test.helper.ts'
import type { LayerEntry } from '../view/types.ts'
import { createChainView } from '../view/view.ts'

const isRoot = process.getuid?.() === 0
const options = { xattrs: isRoot ? 'trusted' : 'user', owners: isRoot ? 'keep' : 'record' } as const

async function inTree<T>(
  fields: readonly EntryFields[],
  check: (tree: string, root: number) => T,
  how: { readonly before?: (tree: string) => void; readonly xattrs?: 'trusted' | 'user' } = {},
): Promise<T> {
  await using directory = await temporaryDirectory()
  const tar = directory.join('x.tar')
  packUnsorted(fields, tar)
  const destination = directory.join('tree')
  mkdirSync(destination)
  how.before?.(destination)
  await extractLayer({ file: tar, compression: 'none', destination, ...options, xattrs: how.xattrs ?? options.xattrs })
  const root = openRoot(destination)
  try {
    return check(destination, root)
  } finally {
    closeFd(root)
  }
}

/** Entries in the order that they are given: a tar needs no order. */
function packUnsorted(fields: readonly EntryFields[], tar: string): void {
  packLayer(fields.map(makeEntry), tar)
}

const file = (path: string, text = 'x'): EntryFields => ({
  path,
  type: 'file',
  mode: 0o644,
  size: text.length,
  content: { kind: 'inline', bytes: Buffer.from(text) },
})
const layerInvalid = expect.objectContaining({ code: 'OCI_LAYER_INVALID' })

describe('extracting', () => {
  test('answers diffID, size and table of the tar in one pass, from every compression', async () => {
    await using directory = await temporaryDirectory()
    const packed = packLayer([makeEntry(file('a', 'hello'))], directory.join('x.tar'))
    const tar = readFileSync(directory.join('x.tar'))
    writeFileSync(
      directory.join('x.gzip'),
      Buffer.concat([gzipSync(tar.subarray(0, 600)), gzipSync(tar.subarray(600))]),
    )
    writeFileSync(directory.join('x.zstd'), zstdCompressSync(tar))
    for (const compression of ['none', 'gzip', 'zstd'] as const) {
      const destination = directory.join(`tree-${compression}`)
      mkdirSync(destination)
      const source = directory.join(compression === 'none' ? 'x.tar' : `x.${compression}`)
      const extracted = await extractLayer({
        file: source,
        compression,
        destination,
        ...options,
        expectedDiffId: packed.diffId,
      })
      expect(extracted).toMatchObject({
        diffId: packed.diffId,
        sizeBytes: packed.sizeBytes,
        entries: [{ path: 'a', size: 5, content: { kind: 'range', file: '', offset: 512 } }],
      })
      expect(readFileSync(`${destination}/a`, 'utf8')).toBe('hello')
    }
  })

  test('refuses another diffID than the expected one', async () => {
    await using directory = await temporaryDirectory()
    packLayer([], directory.join('x.tar'))
    mkdirSync(directory.join('tree'))
    const expectedDiffId = `sha256:${'0'.repeat(64)}` as never
    await expect(
      extractLayer({
        file: directory.join('x.tar'),
        compression: 'none',
        destination: directory.join('tree'),
        ...options,
        expectedDiffId,
      }),
    ).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
  })

  test('refuses damaged and cut off data', async () => {
    await using directory = await temporaryDirectory()
    packLayer([makeEntry(file('a', 'hello'.repeat(1000)))], directory.join('x.tar'))
    const gzip = gzipSync(readFileSync(directory.join('x.tar')))
    writeFileSync(directory.join('cut.gzip'), gzip.subarray(0, gzip.length - 20))
    mkdirSync(directory.join('tree'))
    await expect(
      extractLayer({
        file: directory.join('cut.gzip'),
        compression: 'gzip',
        destination: directory.join('tree'),
        ...options,
      }),
    ).rejects.toMatchObject({ code: 'OCI_ARCHIVE_INVALID' })
  })

  test('stops at the largest size that is allowed', async () => {
    await using directory = await temporaryDirectory()
    packLayer([makeEntry(file('a', 'x'.repeat(10_000)))], directory.join('x.tar'))
    mkdirSync(directory.join('tree'))
    await expect(
      extractLayer({
        file: directory.join('x.tar'),
        compression: 'none',
        destination: directory.join('tree'),
        ...options,
        maxBytes: 5000,
      }),
    ).rejects.toEqual(layerInvalid)
  })

  test('keeps modes, times to the second and a directory that forbids writing', async () => {
    await inTree(
      [
        { path: 'd', type: 'directory', mode: 0o555, mtimeSec: 99 },
        { ...file('d/f'), mode: 0o4751, mtimeSec: 5 },
      ],
      (_, root) => {
        const walk = walkTree(root)
        expect([walk.mode(0), walk.mtimeSec(0), walk.mode(1), walk.mtimeSec(1)]).toEqual([0o555, 99, 0o4751, 5])
      },
    )
  })

  test('makes directories that the tar does not list', async () => {
    await inTree([file('a/b/c')], (_, root) => {
      const walk = walkTree(root)
      expect([walk.path(0), walk.mode(0), walk.path(1), walk.mode(1)]).toEqual(['a', 0o755, 'a/b', 0o755])
    })
  })

  test('lets a later entry take the place of an earlier one', async () => {
    const entries = [
      { path: 'd', type: 'directory', mode: 0o755 },
      file('d/x'),
      file('d', 'now a file'),
      file('f', '1'),
      { path: 'f', type: 'directory', mode: 0o700 },
      file('f/y'),
    ] as const
    await inTree(entries, (tree, root) => {
      const walk = walkTree(root)
      expect(Array.from({ length: walk.length }, (_, index) => walk.path(index))).toEqual(['d', 'f', 'f/y'])
      expect(readFileSync(`${tree}/d`, 'utf8')).toBe('now a file')
    })
  })
})

describeWith(['root'], 'a tree in overlay form', () => {
  test('has whiteouts as devices 0/0 and opaque directories by the attribute that is asked for', async () => {
    const entries: EntryFields[] = [
      { path: 'd', type: 'directory', mode: 0o755 },
      { path: 'd', type: 'opaque' },
      { path: 'gone', type: 'whiteout' },
    ]
    for (const xattrs of ['trusted', 'user'] as const) {
      await inTree(
        entries,
        (_, root) => {
          const walk = walkTree(root)
          expect([walk.type(1), walk.rdevMajor(1), walk.rdevMinor(1)]).toEqual(['character', 0, 0])
          expect(getXattr(root, 'd', `${xattrs}.overlay.opaque`)?.toString()).toBe('y')
        },
        { xattrs },
      )
    }
  })

  test('takes no attribute from a layer that steers an overlay', async () => {
    await using directory = await temporaryDirectory()
    mkdirSync(directory.join('tree'))
    const xattrs = new Map(
      ['trusted.overlay.redirect', 'user.overlay.opaque', 'trusted.note'].map((name) => [name, Buffer.from('/etc')]),
    )
    materializeLayer({
      entries: [makeEntry({ path: 'd', type: 'directory', mode: 0o755, xattrs })],
      destination: directory.join('tree'),
      ...options,
    })
    const root = openRoot(directory.join('tree'))
    expect([...xattrs.keys()].filter((name) => getXattr(root, 'd', name) !== undefined)).toEqual(['trusted.note'])
    closeFd(root)
  })

  test('has owners, and set-id bits after them', async () => {
    await inTree([{ ...file('f'), mode: 0o6755, uid: 70_000, gid: 7 }], (_, root) => {
      const walk = walkTree(root)
      expect([walk.uid(0), walk.gid(0), walk.mode(0)]).toEqual([70_000, 7, 0o6755])
    })
  })

  test('takes a device 0/0 of a layer for the whiteout that it is in an overlay, unless the layer has the name', async () => {
    await using directory = await temporaryDirectory()
    const whiteout = (path: string): EntryFields => ({ path, type: 'character', mode: 0o666, devMajor: 0, devMinor: 0 })
    const null_: EntryFields = { path: 'n', type: 'character', mode: 0o666, devMajor: 1, devMinor: 3 }
    packUnsorted([whiteout('c'), null_, file('d/f'), whiteout('d'), whiteout('d/f')], directory.join('x.tar'))
    const { entries } = scanTarFile(directory.join('x.tar'))
    expect(entries.map(({ type, path }) => `${type} ${path}`)).toEqual(['whiteout c', 'file d/f', 'character n'])
    const destination = directory.join('tree')
    mkdirSync(destination)
    await extractLayer({ file: directory.join('x.tar'), compression: 'none', destination, ...options })
    expect(readdirSync(destination)).toEqual(isRoot ? ['c', 'd', 'n'] : expect.arrayContaining(['c', 'd']))
    expect(lstatSync(`${destination}/c`)).toMatchObject({ rdev: 0 })
    expect(readdirSync(`${destination}/d`)).toEqual(['f'])
  })

  testWith(['tar'], 'is what GNU tar unpacks, apart from what an overlay adds', async () => {
    await fc.assert(
      fc.asyncProperty(layerTable, async (table) => {
        const entries = table.entries.filter((entry) => entry.type !== 'whiteout' && entry.type !== 'opaque')
        await using directory = await temporaryDirectory()
        for (const name of ['ours', 'theirs']) mkdirSync(directory.join(name))
        packLayer(entries, directory.join('x.tar'))
        await extractLayer({
          file: directory.join('x.tar'),
          compression: 'none',
          destination: directory.join('ours'),
          ...options,
        })
        await checkTool('tar', [
          '-xpf',
          directory.join('x.tar'),
          '--numeric-owner',
          '--same-owner',
          '-C',
          directory.join('theirs'),
        ])
        expect(linesOf(directory.join('ours'))).toEqual(linesOf(directory.join('theirs')))
      }),
      { numRuns: 30 },
    )
  })
})

describeWith(['root', 'tar'], 'a tree that the confined process writes', () => {
  test('is what GNU tar unpacks, apart from what an overlay adds', async () => {
    await using state = await temporaryDirectory()
    await using executor = await startExecutor({ isolation: 'namespace', stateDirectory: state.path })
    await fc.assert(
      fc.asyncProperty(layerTable, async (table) => {
        const entries = table.entries.filter((entry) => entry.type !== 'whiteout' && entry.type !== 'opaque')
        await using directory = await temporaryDirectory()
        for (const name of ['ours', 'theirs']) mkdirSync(directory.join(name))
        const tar = directory.join('x.tar')
        packLayer(entries, tar)
        {
          await using tree = executor.writeTree(directory.join('ours'))
          const extraction = createExtraction(tree, options)
          extraction.push(readFileSync(tar))
          extraction.finish()
          await tree.finish()
        }
        await checkTool('tar', ['-xpf', tar, '--numeric-owner', '--same-owner', '-C', directory.join('theirs')])
        expect(linesOf(directory.join('ours/tree'))).toEqual(linesOf(directory.join('theirs')))
      }),
      { numRuns: 20 },
    )
  })
})

test('a tree made of entries is the tree that their tar unpacks to', async () => {
  await fc.assert(
    fc.asyncProperty(layerTable, async (table) => {
      await using directory = await temporaryDirectory()
      for (const name of ['extracted', 'made']) mkdirSync(directory.join(name))
      const entries = table.entries.map((entry) => ({ ...entry, mtimeNsec: 0 }))
      packLayer(entries, directory.join('x.tar'))
      await extractLayer({
        file: directory.join('x.tar'),
        compression: 'none',
        destination: directory.join('extracted'),
        ...options,
      })
      materializeLayer({
        entries: scanTarFile(directory.join('x.tar')).entries,
        destination: directory.join('made'),
        ...options,
      })
      expect(linesOf(directory.join('made'))).toEqual(linesOf(directory.join('extracted')))
    }),
    { numRuns: 30 },
  )
})

function linesOf(path: string): string[] {
  const root = openRoot(path)
  try {
    // Whiteouts have the time of their making.
    return mountLines(root).map((line) => (line.includes(' character ') ? line.replace(/ \d+\.\d+ /, ' ') : line))
  } finally {
    closeFd(root)
  }
}

describe('a hostile layer', () => {
  test('writes nothing outside through names that climb or are absolute', async () => {
    await inTree([file('../../../tmp/escaped'), file('/abs')], (tree) =>
      expect(readdirSync(tree).toSorted()).toEqual(['abs', 'tmp']),
    )
  })

  test('writes nothing outside through its own symlinks', async () => {
    const link: EntryFields = { path: 'l', type: 'symlink', link: '../../..' }
    await inTree([link, file('l/escaped'), file('l/etc/x')], (tree) =>
      expect(readdirSync(tree).toSorted()).toEqual(['escaped', 'etc', 'l']),
    )
  })

  test('writes nothing through a symlink that stood in the directory before', async () => {
    const before = (tree: string): void => symlinkSync('/tmp', `${tree}/t`)
    await expect(inTree([file('t/escaped')], () => undefined, { before })).rejects.toMatchObject({
      code: expect.stringMatching(/^OCI_/),
    })
  })

  test('links to nothing outside', async () => {
    for (const link of ['/etc/passwd', '../../../../etc/passwd', 'missing']) {
      await expect(inTree([{ path: 'h', type: 'hardlink', link }], () => undefined)).rejects.toEqual(layerInvalid)
    }
  })
})

describe('a tar in any order, with links through links and names that come again', () => {
  const name = fc
    .array(fc.constantFrom('a', 'b', 'c', '..', '.', 'l'), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'))
  const target = fc.constantFrom('a', '../a', '/b', '../../../..', '/', 'a/b', '../../outside', 'l', '/l/..')
  const entry: fc.Arbitrary<EntryFields> = fc.oneof(
    { weight: 3, arbitrary: name.map((path) => ({ ...file(path, 'text'), mtimeSec: 5 })) },
    { weight: 2, arbitrary: name.map((path): EntryFields => ({ path, type: 'directory', mode: 0o750, mtimeSec: 6 })) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(name, target)
        .map(([path, link]): EntryFields => ({ path, type: 'symlink', link, mtimeSec: 7 })),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(name, name)
        .map(([path, link]): EntryFields => ({ path, type: 'hardlink', link, mtimeSec: 5 })),
    },
  )

  test('touches nothing outside, and its tree is what its table says', async () => {
    let compared = 0
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 8 }), async (fields) => {
        await using directory = await temporaryDirectory()
        mkdirSync(directory.join('outside'))
        writeFileSync(directory.join('outside', 'file'), 'untouched')
        mkdirSync(directory.join('tree'))
        const tar = directory.join('x.tar')
        packUnsorted(fields, tar)
        try {
          await extractLayer({ file: tar, compression: 'none', destination: directory.join('tree'), ...options })
          const view = createChainView([scanTarFile(tar)])
          expect(withoutTimes(linesOf(directory.join('tree')))).toEqual(withoutTimes(viewLines(view)))
          compared++
        } catch (error) {
          if (!isTsOciError(error)) throw error
        }
        expect(readdirSync(directory.path).toSorted()).toEqual(['outside', 'tree', 'x.tar'])
        expect(readdirSync(directory.join('outside'))).toEqual(['file'])
        expect(readFileSync(directory.join('outside', 'file'), 'utf8')).toBe('untouched')
      }),
      { numRuns: 300 },
    )
    expect(compared).toBeGreaterThan(50)
  })

  /** Directories that nobody lists have the time of their making. */
  const withoutTimes = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/ \d+\.\d+ /, ' '))
})

describe('a layer whose headers say more than one thing of a file', () => {
  async function extract(
    parts: readonly Buffer[],
    check: (entries: readonly LayerEntry[], inTree: (name: string) => string) => void,
  ): Promise<void> {
    await using directory = await temporaryDirectory()
    const file = directory.join('layer.tar')
    writeFileSync(file, Buffer.concat([...parts, END]))
    const destination = directory.join('tree')
    mkdirSync(destination)
    const { entries } = await extractLayer({ file, compression: 'none', destination, ...options })
    check(entries, (name) => directory.join('tree', name))
  }

  const f = rawEntry({ name: 'f' }, 'hello')

  test('gives the file what its hard link says, as containerd does', async () => {
    const link = rawEntry({ name: 'h', flag: '1', link: 'f', mode: 0o4711, uid: 7, gid: 8, mtime: 1_400_000_000 })
    await extract([f, link], (entries, inTree) => {
      expect(entries).toMatchObject([
        { path: 'f', type: 'file', mode: 0o4711, uid: 7, gid: 8, mtimeSec: 1_400_000_000, size: 5 },
        { path: 'h', type: 'hardlink', link: 'f' },
      ])
      const status = statSync(inTree('f'))
      expect([status.mode & 0o7777, status.mtimeMs, status.nlink]).toEqual([0o4711, 1_400_000_000_000, 2])
    })
  })

  test('gives a symbolic link the owner alone', async () => {
    const links = [rawEntry({ name: 's', flag: '2', link: 'f' }), rawEntry({ name: 't', flag: '1', link: 's', uid: 9 })]
    await extract([f, ...links], (entries, inTree) => {
      expect(entries.find(({ path }) => path === 's')).toMatchObject({
        type: 'symlink',
        uid: 9,
        mtimeSec: 1_600_000_000,
      })
      expect(statSync(inTree('f')).mode & 0o7777).toBe(0o644)
    })
  })

  test('has of a device the number that mknod takes, which may be that of a whiteout', async () => {
    const whiteout = rawEntry({ name: 'c', flag: '3', devMinor: 1 << 20 })
    const null4097 = rawEntry({ name: 'd', flag: '3', devMajor: 0x1001, devMinor: 3 })
    await extract([whiteout, null4097], (entries, inTree) => {
      expect(entries).toMatchObject([
        { path: 'c', type: 'whiteout' },
        { path: 'd', type: 'character', devMajor: 1, devMinor: 3 },
      ])
      expect(lstatSync(inTree('c')).rdev).toBe(0)
      if (isRoot) expect(lstatSync(inTree('d')).rdev).toBe(0x103)
    })
  })

  test('may delete a name of a directory that it replaces by a link', async () => {
    await extract([rawEntry({ name: 'a/.wh.a' }), rawEntry({ name: 'a', flag: '2', link: 'b' })], (_entries, inTree) =>
      expect(lstatSync(inTree('a')).isSymbolicLink()).toBe(true),
    )
  })
})
