import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { nodeFlags, temporaryDirectory, testWith } from '@ts-oci/testing'
import { contentChunks } from '../../disk/file-bytes.ts'
import { makeEntry } from '../../view/entry.ts'
import { createFileTarget, type FileTarget } from '../../view/file-target.ts'
import { END, rawEntry, rawGnuName, rawHeader, rawPax } from '../../tar/tar.test.helper.ts'
import { emptyTree } from '../../view/tree.ts'
import type { ViewEntry } from '../../view/types.ts'
import { unpackArchive } from './unpack.ts'

// Expected values come from moby's archive code over Go's archive/tar, run on the same bytes.

const NOW = 1_700_000_000

interface Unpacked {
  readonly isArchive: boolean
  /** Path below the destination → what stands there. */
  readonly files: ReadonlyMap<string, ViewEntry & { readonly text: string }>
  readonly contentBlocks: number
}

async function unpack(bytes: Uint8Array, before?: (target: FileTarget) => void): Promise<Unpacked> {
  await using temporary = await temporaryDirectory()
  const target = createFileTarget(emptyTree(), { sec: NOW, nsec: 0 })
  target.makeDirectories('d', { mode: 0o755, owner: undefined, time: undefined })
  before?.(target)
  const source = makeEntry({ path: 'x', type: 'file', size: bytes.length, content: { kind: 'inline', bytes } })
  const options = { temporaryDirectory: temporary.path, signal: undefined, owner: undefined, time: undefined }
  const isArchive = await unpackArchive(source, target, 'd', options)
  const files = new Map(
    [...target.view().walk('d')].map((entry) => {
      const text = entry.size < 1 << 20 ? Buffer.concat([...contentChunks(entry)]).toString('latin1') : ''
      return [entry.path.slice(2), { ...entry, text }]
    }),
  )
  const content = [...files.values()].flatMap((file) => (file.content?.kind === 'range' ? [file.content.file] : []))
  return { isArchive, files, contentBlocks: content[0] === undefined ? 0 : statSync(content[0]).blocks }
}

const pathsOf = async (bytes: Uint8Array): Promise<string[]> => [...(await unpack(bytes)).files.keys()]
const invalid = expect.objectContaining({ code: 'OCI_ARCHIVE_INVALID' })

const F = rawEntry({ name: 'f' }, 'hello')
const G = rawEntry({ name: 'g' }, 'x'.repeat(700))
const ARCHIVE = Buffer.concat([F, G, END])

describe('an archive ends', () => {
  const ends: Readonly<Record<string, Buffer[]>> = {
    'at two blocks of zeros, whatever follows': [ARCHIVE, Buffer.from('garbage'.repeat(200))],
    'at two blocks of zeros, also before another archive': [ARCHIVE, rawEntry({ name: 'second' }), END],
    'where the file ends': [F, G],
    'where the file ends behind one block of zeros': [F, G, Buffer.alloc(512)],
    'where the file ends within the padding of an entry': [F, G.subarray(0, 512 + 700 + 3)],
    'where the file ends behind a header that says something about the next entry': [F, G, rawPax([['path', 'no']])],
  }
  for (const [name, parts] of Object.entries(ends))
    test(name, async () => expect(await pathsOf(Buffer.concat(parts))).toEqual(['f', 'g']))

  const cuts: Readonly<Record<string, Buffer[]>> = {
    'one block of zeros and something else': [F, Buffer.alloc(512), G, END],
    'one block of zeros and a part of a block': [F, Buffer.alloc(600)],
    'a part of a header': [F, G.subarray(0, 300)],
    'a part of the data of a file': [F, G.subarray(0, 1000)],
    'bytes that are no header': [F, Buffer.from('garbage!'.repeat(64)), END],
    'a size that no file has': [F, rawHeader({ size: Buffer.from(`\x80\0\0\0\x40${'\0'.repeat(7)}`, 'latin1') })],
  }
  for (const [name, parts] of Object.entries(cuts))
    test(`not at ${name}, which is an error`, async () =>
      await expect(unpack(Buffer.concat(parts))).rejects.toEqual(invalid))

  test('before it has begun: such a file is copied as it is', async () => {
    for (const bytes of [END, Buffer.concat([END, F]), rawPax([['path', 'x']]), Buffer.from('text'.repeat(200))])
      expect(await unpack(bytes)).toMatchObject({ isArchive: false })
  })

  test('and a global record alone makes one that holds nothing', async () => {
    expect(await unpack(rawPax([['comment', 'x']], 'g'))).toMatchObject({ isArchive: true, files: new Map() })
  })
})

describe('behind a compressed archive', () => {
  const garbage = randomBytes(300_000)
  const tails = { zeros: Buffer.alloc(512), garbage: Buffer.from('garbage'.repeat(10)), 'much garbage': garbage }
  const tools: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
    gzip: (bytes) => gzipSync(bytes),
    zstd: (bytes) => zstdCompressSync(bytes),
    bzip2: (input) => execFileSync('bzip2', ['-c'], { input }),
    xz: (input) => execFileSync('xz', ['-c'], { input }),
  }
  for (const [tool, compress] of Object.entries(tools)) {
    const needed = tool === 'bzip2' || tool === 'xz' ? [tool] : []
    for (const [name, tail] of Object.entries(tails))
      testWith(needed, `${name} are no part of it (${tool})`, async () =>
        expect(await pathsOf(Buffer.concat([compress(ARCHIVE), tail]))).toEqual(['f', 'g']),
      )
    testWith(needed, `the second one of two is no part of it (${tool})`, async () => {
      const second = compress(Buffer.concat([rawEntry({ name: 'second' }), END]))
      expect(await pathsOf(Buffer.concat([compress(ARCHIVE), second]))).toEqual(['f', 'g'])
    })
    testWith(needed, `the rest of it may be a compressed piece of its own (${tool})`, async () =>
      expect(await pathsOf(Buffer.concat([compress(F), compress(Buffer.concat([G, END]))]))).toEqual(['f', 'g']),
    )
  }

  test('what needs a program that is missing is an error for xz as for others, not a file that is copied', () => {
    const modules = ['./unpack.ts', '../../view/entry.ts', '../../view/file-target.ts', '../../view/tree.ts']
    const names = modules.map((path) => JSON.stringify(new URL(path, import.meta.url).href))
    const script = `const [{ unpackArchive }, { makeEntry }, { createFileTarget }, { emptyTree }] = await Promise.all([${names.map((name) => `import(${name})`).join()}])
const bytes = Buffer.from('fd377a585a000000', 'hex')
const source = makeEntry({ path: 'x', type: 'file', size: bytes.length, content: { kind: 'inline', bytes } })
await unpackArchive(source, createFileTarget(emptyTree(), { sec: 0, nsec: 0 }), 'd', { temporaryDirectory: '/nonexistent' }).then(console.log, ({ code, hint }) => console.log(code, hint))`
    const args = [...nodeFlags, '--input-type=module', '-e', script]
    const said = execFileSync(process.execPath, args, { encoding: 'utf8', env: { PATH: '/nonexistent' } })
    expect(said.trim()).toBe('OCI_COMPRESSION_UNSUPPORTED install xz-utils, or compress the archive with gzip or zstd')
  })

  test('what gzip finds damaged does not matter once the archive has ended', async () => {
    const bytes = gzipSync(ARCHIVE)
    bytes.writeUInt32LE(0, bytes.length - 8)
    expect(await pathsOf(bytes)).toEqual(['f', 'g'])
  })

  test('an archive that is cut off or damaged within is an error, and never copied as a file', async () => {
    const bytes = gzipSync(Buffer.concat([rawEntry({ name: 'big' }, randomBytes(200_000)), END]))
    await expect(unpack(bytes.subarray(0, 100_000))).rejects.toEqual(invalid)
    const text = gzipSync(Buffer.concat([F, rawEntry({ name: 'text' }, 'abc '.repeat(9000)), G, END]))
    await expect(unpack(text.subarray(0, text.length - 60))).rejects.toEqual(invalid)
  })
})

describe('a sparse file', () => {
  const SIZE = 10_000
  const WANTED = `abc${'\0'.repeat(4997)}defgh${'\0'.repeat(SIZE - 5005)}`
  const map = (...numbers: number[]): string => `${numbers.length / 2}\n${numbers.map((n) => `${n}\n`).join('')}`
  const padded = (text: string): string => text.padEnd(Math.ceil(text.length / 512) * 512, '\0')
  const one = (size: number | string, header: string, data: string): Buffer =>
    Buffer.concat([
      rawPax([
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.name', 's'],
        ['GNU.sparse.realsize', String(size)],
      ]),
      rawEntry({ name: 'GNUSparseFile.0/s' }, padded(header) + data),
      END,
    ])
  const zeroOne = (count: string, ranges: string, data = 'abcdefgh'): Buffer =>
    Buffer.concat([
      rawPax([
        ['GNU.sparse.size', String(SIZE)],
        ['GNU.sparse.numblocks', count],
        ['GNU.sparse.map', ranges],
        ['GNU.sparse.name', 's'],
      ]),
      rawEntry({ name: 'GNUSparseFile.0/s' }, data),
      END,
    ])
  const zeroZero = (...pairs: [string, string][]): Buffer =>
    Buffer.concat([
      rawPax([['GNU.sparse.size', String(SIZE)], ['GNU.sparse.numblocks', String(pairs.length / 2)], ...pairs]),
      rawEntry({ name: 's' }, 'abcdefgh'),
      END,
    ])

  const forms: Readonly<Record<string, Buffer>> = {
    '1.0': one(SIZE, map(0, 3, 5000, 5, SIZE, 0), 'abcdefgh'),
    '0.1': zeroOne('2', '0,3,5000,5'),
    '0.0': zeroZero(
      ['GNU.sparse.offset', '0'],
      ['GNU.sparse.numbytes', '3'],
      ['GNU.sparse.offset', '5000'],
      ['GNU.sparse.numbytes', '5'],
    ),
  }
  for (const [form, bytes] of Object.entries(forms))
    test(`of form ${form} has zeros where its holes are`, async () => {
      const { files } = await unpack(bytes)
      expect([...files.keys()]).toEqual(['s'])
      expect(files.get('s')).toMatchObject({ size: SIZE, text: WANTED })
    })

  test('costs no room for its holes while it is unpacked, and what follows it is read', async () => {
    const size = 64 << 20
    const bytes = Buffer.concat([one(size, map(0, 3), 'abc').subarray(0, -1024), F, END])
    const { files, contentBlocks } = await unpack(bytes)
    expect(files.get('s')?.size).toBe(size)
    expect(files.get('f')?.text).toBe('hello')
    expect(contentBlocks).toBeLessThan(100)
  })

  const hostile: Readonly<Record<string, Buffer>> = {
    'overlaps itself': one(SIZE, map(0, 10, 5, 10), 'x'.repeat(20)),
    'is out of order': one(SIZE, map(500, 10, 5, 10), 'x'.repeat(20)),
    'leads behind the end': one(SIZE, map(9999, 10), 'x'.repeat(10)),
    'has negative places': one(SIZE, map(-1, 10), 'x'.repeat(10)),
    'has negative lengths': one(SIZE, map(1, -10), ''),
    'is shorter than it says': one(SIZE, `3\n${map(0, 3).slice(2)}`, 'abc'),
    'has more ranges than memory': one(SIZE, `${2 ** 62}\n0\n3\n`, 'abc'),
    'has a negative number of ranges': one(SIZE, `-1\n0\n3\n`, 'abc'),
    'holds no numbers': one(SIZE, '1\nx\n3\n', 'abc'),
    'never ends': one(SIZE, '1'.repeat(2 << 20), ''),
    'names data that is not there': one(SIZE, map(0, 3, 100, 50), 'abc'),
    'leaves data over': one(SIZE, map(0, 3), 'abcdef'),
    'is of a file of 8 EiB': one('9223372036854775807', map(0, 3), 'abc'),
    'is of a file of negative size': one('-1', map(0, 3), 'abc'),
    'is of a file of no size': one('x', map(0, 3), 'abc'),
    'has another count than its records': zeroOne('3', '0,3,5000,5'),
    'overlaps in its records': zeroOne('2', '0,3,2,5'),
    'pairs two places': zeroZero(['GNU.sparse.offset', '0'], ['GNU.sparse.offset', '3']),
    'begins with a length': zeroZero(['GNU.sparse.numbytes', '0'], ['GNU.sparse.offset', '3']),
  }
  for (const [name, bytes] of Object.entries(hostile))
    test(`whose map ${name} is refused`, async () =>
      await expect(unpack(Buffer.concat([F, bytes]))).rejects.toEqual(invalid))

  test('in the old form of GNU tar is refused by name, as BuildKit does', async () => {
    const old = rawEntry({ name: 's', flag: 'S', magic: 'ustar  \0' }, 'abc')
    await expect(unpack(Buffer.concat([F, old, END]))).rejects.toThrow(/"s" is a sparse file of old GNU tar/)
  })

  testWith(['tar', 'truncate'], 'that GNU tar wrote is unpacked', async () => {
    await using directory = await temporaryDirectory()
    for (const version of ['0.0', '0.1', '1.0']) {
      const script = `rm -f sp; truncate -s 1M sp; printf mid | dd of=sp bs=1 seek=500000 conv=notrunc status=none; tar --sparse --format=posix --sparse-version=${version} -cf - sp`
      const bytes = execFileSync('sh', ['-euc', script], { cwd: directory.path })
      const { files } = await unpack(bytes)
      expect(files.get('sp')?.size).toBe(1 << 20)
    }
  })
})

describe('a hard link in an archive', () => {
  test('gives its mode, owner and time to the file, by all its names', async () => {
    const link = { name: 'h', flag: '1', link: 'f', mode: 0o4711, uid: 7, gid: 8, mtime: 1_400_000_000 }
    const { files } = await unpack(Buffer.concat([F, rawEntry(link), END]))
    const wanted = { mode: 0o4711, uid: 7, gid: 8, mtimeSec: 1_400_000_000, text: 'hello' }
    expect([files.get('f'), files.get('h')]).toMatchObject([wanted, wanted])
    expect(files.get('f')?.linkKey).toBe(files.get('h')?.linkKey)
  })

  test('to a symbolic link is another name of that, which takes the owner alone', async () => {
    const parts = [
      F,
      rawEntry({ name: 's', flag: '2', link: 'f' }),
      rawEntry({ name: 'h', flag: '1', link: 's', mode: 0o600, uid: 9, mtime: 1_400_000_000 }),
      END,
    ]
    const { files } = await unpack(Buffer.concat(parts))
    expect(files.get('h')).toMatchObject({ type: 'symlink', link: 'f', uid: 9, mtimeSec: 1_600_000_000 })
    expect(files.get('s')).toMatchObject({ uid: 9 })
    expect(files.get('f')).toMatchObject({ mode: 0o644, uid: 0 })
  })

  test('to a file that was there is one with it', async () => {
    const { files } = await unpack(
      Buffer.concat([rawEntry({ name: 'h', flag: '1', link: '/old', mode: 0o600 }), END]),
      (target) =>
        target.put(
          makeEntry({
            path: 'd/old',
            type: 'file',
            mode: 0o644,
            size: 3,
            content: { kind: 'inline', bytes: Buffer.from('old') },
          }),
        ),
    )
    expect(files.get('old')?.linkKey).toBeDefined()
    expect(files.get('old')?.linkKey).toBe(files.get('h')?.linkKey)
    expect(files.get('old')?.mode).toBe(0o600)
  })

  test('stays what it was when another name of its file is replaced', async () => {
    const parts = [F, rawEntry({ name: 'h', flag: '1', link: 'f' }), rawEntry({ name: 'f' }, 'new'), END]
    const { files } = await unpack(Buffer.concat(parts))
    expect([files.get('f')?.text, files.get('h')?.text]).toEqual(['new', 'hello'])
  })

  for (const link of ['nowhere', '../f', '../../etc/passwd', '/../f', '', '.', 'dir', 'h'])
    test(`to ${JSON.stringify(link)} is refused`, async () => {
      const parts = [F, rawEntry({ name: 'dir', flag: '5' }), rawEntry({ name: 'h', flag: '1', link }), END]
      await expect(unpack(Buffer.concat(parts))).rejects.toEqual(invalid)
    })
})

describe('names of an archive', () => {
  test('are cleaned; the directory itself is passed over, whatever it is', async () => {
    const names = ['./a', '/b', 'x/../c', 'd//e', 'd/./f', '.', './', '', '/', '//']
    expect(await pathsOf(Buffer.concat([...names.map((name) => rawEntry({ name }, 'x')), END]))).toEqual([
      'a',
      'b',
      'c',
      'd',
      'd/e',
      'd/f',
    ])
  })

  for (const name of ['../f', 'a/../../f', '..', '/..', '/../f'])
    test(`such as ${JSON.stringify(name)} are refused in BuildKit's words`, async () => {
      await expect(unpack(Buffer.concat([rawEntry({ name }, 'x'), END]))).rejects.toMatchObject({
        code: 'OCI_ARCHIVE_INVALID',
        message: `invalid entry name "${name}"`,
      })
    })

  test('follow an absolute link inside the destination and make what it names', async () => {
    const parts = [
      rawEntry({ name: 'l', flag: '2', link: '/etc' }),
      rawEntry({ name: 'l/passwd' }, 'x'),
      rawEntry({ name: 'm', flag: '2', link: 'gone/deep' }),
      rawEntry({ name: 'm/x/y' }, 'x'),
      END,
    ]
    expect(await pathsOf(Buffer.concat(parts))).toEqual([
      'etc',
      'etc/passwd',
      'gone',
      'gone/deep',
      'gone/deep/x',
      'gone/deep/x/y',
      'l',
      'm',
    ])
  })

  for (const link of ['../../..', 'a/../../b', '..'])
    test(`do not follow a relative link to ${JSON.stringify(link)}`, async () => {
      const parts = [rawEntry({ name: 'l', flag: '2', link }), rawEntry({ name: 'l/x' }, 'x'), END]
      await expect(unpack(Buffer.concat(parts))).rejects.toEqual(invalid)
    })

  test('of two headers GNU wins over PAX, and a global record ends both', async () => {
    expect(await pathsOf(Buffer.concat([rawPax([['path', 'pax']]), rawGnuName('L', 'gnu'), F, END]))).toEqual(['gnu'])
    expect(await pathsOf(Buffer.concat([rawPax([['path', 'pax']]), rawPax([['a', 'b']], 'g'), F, END]))).toEqual(['f'])
  })

  test('that no file system takes are refused', async () => {
    const long = (name: string): Buffer => Buffer.concat([rawPax([['path', name]]), F, END])
    await expect(unpack(long('n'.repeat(256)))).rejects.toEqual(invalid)
    await expect(unpack(long(`${'d/'.repeat(2100)}f`))).rejects.toEqual(invalid)
    expect(await pathsOf(long('n'.repeat(255)))).toEqual(['n'.repeat(255)])
    await expect(unpack(Buffer.concat([rawEntry({ name: 's', flag: '2' }), END]))).rejects.toEqual(invalid)
  })

  test('with a newline, a control byte or no UTF-8 stay as they are', async () => {
    const names = ['a\nb', 'a\x1b]0;x\x07', '\xff\xfe']
    const parts = names.map((name) => rawEntry({ name }, 'x'))
    expect(await pathsOf(Buffer.concat([...parts, END]))).toEqual(names.toSorted())
  })
})

describe('an entry that comes twice', () => {
  const directory = (name: string, mode: number): Buffer => rawEntry({ name, flag: '5', mode, mtime: 1_400_000_000 })

  test('replaces a file by a directory, and the reverse', async () => {
    const parts = [F, directory('f', 0o755), rawEntry({ name: 'f/x' }, '1'), directory('g', 0o755), G, END]
    const { files } = await unpack(Buffer.concat(parts))
    expect([...files].map(([path, { type }]) => [path, type])).toEqual([
      ['f', 'directory'],
      ['f/x', 'file'],
      ['g', 'file'],
    ])
  })

  test('is one directory with the attributes of the later one', async () => {
    const parts = [directory('d', 0o700), rawEntry({ name: 'd/x' }, '1'), directory('d', 0o711), END]
    const { files } = await unpack(Buffer.concat(parts))
    expect(files.get('d')).toMatchObject({ mode: 0o711, mtimeSec: 1_400_000_000 })
    expect(files.has('d/x')).toBe(true)
  })
})

describe('numbers of a header', () => {
  const octal = (text: string): Buffer => Buffer.from(text.padEnd(8, '\0'), 'latin1')
  const uids: readonly (readonly [string, string, number | undefined])[] = [
    ['blanks around it', '  17 \0 ', 0o17],
    ['NULs before it', '\0\x0017', 0o17],
    ['bytes behind a NUL', '17\0junk', 0o17],
    ['no terminator', '00000017', 0o17],
    ['nothing', '', 0],
    ['a blank inside', '1 7', undefined],
    ['a digit that is none', '0000018', undefined],
    ['a sign', '-000001', undefined],
    ['a binary number', '\x80\0\0\0\0\x01\x11\x70', 70_000],
    ['a binary number of 33 bits, of which the kernel takes 32', '\x80\0\0\x01\0\0\0\x05', 5],
  ]
  for (const [name, text, uid] of uids)
    test(`may be ${uid === undefined ? 'no number: ' : ''}${name}`, async () => {
      const work = unpack(Buffer.concat([F, rawEntry({ name: 'n', uid: octal(text) }), END]))
      if (uid === undefined) await expect(work).rejects.toEqual(invalid)
      else expect((await work).files.get('n')?.uid).toBe(uid)
    })

  test('of a PAX record that are none are refused', async () => {
    for (const pair of [
      ['uid', '0x10'],
      ['size', '-5'],
      ['mtime', '.5'],
      ['atime', 'now'],
      ['gid', '1'.repeat(30)],
    ])
      await expect(unpack(Buffer.concat([F, rawPax([pair as [string, string]]), G, END]))).rejects.toEqual(invalid)
  })

  test('a time before the epoch, or later than Go can count, is the epoch', async () => {
    for (const mtime of ['-100', '-0.5', '9223372037', '99999999999']) {
      const { files } = await unpack(Buffer.concat([rawPax([['mtime', mtime]]), F, END]))
      expect(files.get('f')).toMatchObject({ mtimeSec: 0, mtimeNsec: 0 })
    }
  })
})

test('types that no builder unpacks are refused by name', async () => {
  for (const flag of ['7', 'V', 'N', 'A', 's', '!'])
    await expect(unpack(Buffer.concat([F, rawEntry({ name: 't', flag }), END]))).rejects.toThrow(
      /"t" has the unknown type/,
    )
})

test('a slash at its end makes a directory of an entry of the first tars, and of no other', async () => {
  const { files } = await unpack(
    Buffer.concat([rawEntry({ name: 'v7/', flag: '\0' }), rawEntry({ name: 'file/', flag: '0' }), END]),
  )
  expect([files.get('v7')?.type, files.get('file')?.type]).toEqual(['directory', 'file'])
})

describe('fifty thousand entries', () => {
  const COUNT = 50_000
  const many = (entryOf: (index: number) => Buffer): Buffer[] => Array.from({ length: COUNT }, (_, i) => entryOf(i))
  // What is quadratic takes minutes here.
  const LIMIT_MS = 20_000

  const hostile: Readonly<Record<string, () => Buffer[]>> = {
    'that are links to one file': () => [F, ...many((i) => rawEntry({ name: `l${i}`, flag: '1', link: 'f' }))],
    'that replace directories by files': () => [
      ...many((i) => rawEntry({ name: `d${i % 25_000}`, flag: i < 25_000 ? '5' : '0' })),
    ],
    'of one name': () => many(() => rawEntry({ name: 'same', flag: '5' })),
  }
  for (const [name, make] of Object.entries(hostile))
    test(
      `${name} are unpacked in a time that follows their number`,
      async () => {
        const archive = Buffer.concat([...make(), END])
        const started = performance.now()
        await unpack(archive)
        expect(performance.now() - started).toBeLessThan(LIMIT_MS)
      },
      4 * LIMIT_MS,
    )
})
