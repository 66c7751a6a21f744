import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, testWith } from '@ts-oci/testing'
import fc from 'fast-check'
import { isTsOciError } from '../base/errors.ts'
import { makeEntry } from '../view/entry.ts'
import { writeHeader } from './header.ts'
import { createLayerScanner } from './scan.ts'
import { END, rawEntry, rawPax } from './tar.test.helper.ts'
import { createTarReader, type TarEntry } from './tar-reader.ts'
import type { LayerEntry } from '../view/types.ts'

interface ReadEntry extends TarEntry {
  readonly text: string
}

function readAll(tar: Uint8Array, chunkBytes = 1000): ReadEntry[] {
  const entries: ReadEntry[] = []
  let text = ''
  const reader = createTarReader({
    entry: (entry) => {
      entries.push({ ...entry, text: '' })
      text = ''
    },
    data: (piece) => void (text += piece.toString('latin1')),
    entryEnd: () => entries.push({ ...entries.pop()!, text }),
  })
  for (let at = 0; at < tar.length; at += chunkBytes) reader.push(tar.subarray(at, at + chunkBytes))
  reader.end()
  return entries
}

/** A tar of raw blocks: header fields as they are given, checksum right. */
function rawTar(
  ...members: readonly { readonly header: Readonly<Record<number, string>>; readonly data?: Buffer }[]
): Buffer {
  const blocks = members.flatMap(({ header, data = Buffer.alloc(0) }) => {
    const block = Buffer.alloc(512)
    writeHeader(block, 0, makeEntry({ path: 'x', type: 'file' }))
    for (const [offset, text] of Object.entries(header)) block.write(text, Number(offset), 'latin1')
    if (!(124 in header)) block.write(data.length.toString(8).padStart(11, '0'), 124, 'latin1')
    block.write('        ', 148, 'latin1')
    let sum = 0
    for (const byte of block) sum += byte
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    return [block, data, Buffer.alloc((512 - (data.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

const TYPE = 156
const scan = (tar: Uint8Array): readonly LayerEntry[] => {
  const scanner = createLayerScanner()
  scanner.push(tar)
  return scanner.finish().entries
}
const named = (...names: string[]): Buffer => rawTar(...names.map((name) => ({ header: { 0: `${name}\0` } })))
const layerInvalid = expect.objectContaining({ code: 'OCI_LAYER_INVALID' })

describe('tars of other tools', () => {
  for (const format of ['v7', 'ustar', 'gnu', 'pax']) {
    testWith(['tar'], `reads GNU tar's ${format} format`, async () => {
      await using directory = await temporaryDirectory()
      const name =
        format === 'v7'
          ? 'name'
          : format === 'ustar'
            ? `${'d'.repeat(40)}/${'n'.repeat(55)}`
            : `${'d'.repeat(120)}/${'n'.repeat(140)}`
      const script = `mkdir -p "$(dirname '${name}')" && printf hello > '${name}' && ln '${name}' link && ln -s '${name.slice(0, 90)}' symlink && chmod 2750 '${name}' && touch -d 2001-02-03T04:05:06Z '${name}' && tar --format=${format} --numeric-owner --owner=:1234 --group=:77 -cf x.tar '${name}' link symlink`
      await checkTool('sh', ['-euc', script], { cwd: directory.path })
      const entries = readAll(readFileSync(directory.join('x.tar')), 512 * 3 + 7)
      expect(entries).toMatchObject([
        { name, type: 'file', mode: 0o2750, uid: 1234, gid: 77, size: 5, mtimeSec: 981_173_106, text: 'hello' },
        { name: 'link', type: 'hardlink', link: name },
        { name: 'symlink', type: 'symlink', link: name.slice(0, 90) },
      ])
    })
  }

  testWith(['tar'], 'reads ids that no octal field holds: base-256 and PAX', async () => {
    await using directory = await temporaryDirectory()
    await checkTool(
      'sh',
      ['-euc', 'touch f; for k in gnu pax; do tar --format=$k --owner=:3000000 --group=:4000000000 -cf $k.tar f; done'],
      { cwd: directory.path },
    )
    for (const kind of ['gnu', 'pax'])
      expect(readAll(readFileSync(directory.join(`${kind}.tar`)))).toMatchObject([
        { uid: 3_000_000, gid: 4_000_000_000 },
      ])
  })

  testWith(['python3'], 'reads nanoseconds, times before 1970 and attributes that are not text', async () => {
    await using directory = await temporaryDirectory()
    const script = `
import tarfile
with tarfile.open('x.tar', 'w', format=tarfile.PAX_FORMAT) as t:
    a = tarfile.TarInfo('a'); a.pax_headers = {'mtime': '1600000000.123456789', 'SCHILY.xattr.security.capability': b'\\x01\\x00\\x00\\x02\\xff\\x80'.decode('utf-8', 'surrogateescape')}; t.addfile(a)
    b = tarfile.TarInfo('b'); b.pax_headers = {'mtime': '-1.5'}; t.addfile(b)
    c = tarfile.TarInfo('\\u00fc'); t.addfile(c)
`
    await checkTool('python3', ['-c', script], { cwd: directory.path })
    const [a, b, c] = readAll(readFileSync(directory.join('x.tar')))
    expect(a).toMatchObject({ mtimeSec: 1_600_000_000, mtimeNsec: 123_456_789 })
    expect([...a!.xattrs!.get('security.capability')!]).toEqual([1, 0, 0, 2, 0xff, 0x80])
    expect(b).toMatchObject({ mtimeSec: -2, mtimeNsec: 500_000_000 })
    expect(c).toMatchObject({ name: '\xc3\xbc' })
  })

  testWith(['tar'], 'refuses a sparse file of old GNU tar by name', async () => {
    await using directory = await temporaryDirectory()
    await checkTool('sh', ['-euc', `truncate -s 1M hole; printf x >> hole; tar --format=gnu --sparse -cf x.tar hole`], {
      cwd: directory.path,
    })
    expect(() => readAll(readFileSync(directory.join('x.tar')))).toThrow(
      expect.objectContaining({ code: 'OCI_LAYER_INVALID', message: expect.stringContaining('sparse') }),
    )
  })
})

describe('a hostile tar', () => {
  test('that is cut off inside an entry is refused', () => {
    const tar = rawTar({ header: {}, data: Buffer.alloc(600, 'a') })
    for (const length of [100, 512, 700, 1100]) expect(() => readAll(tar.subarray(0, length))).toThrow(layerInvalid)
    expect(readAll(tar.subarray(0, 1536))).toHaveLength(1)
  })

  test('with a wrong checksum is refused', () => {
    const tar = rawTar({ header: {} })
    tar[0] = 'y'.charCodeAt(0)
    expect(() => readAll(tar)).toThrow(layerInvalid)
  })

  test('with a header longer than a mebibyte is refused before memory is taken', () => {
    expect(() => readAll(rawTar({ header: { [TYPE]: 'x', 124: '77777777777' } }))).toThrow(layerInvalid)
  })

  test('with malformed PAX records is refused', () => {
    for (const text of ['5 a=b\n', '99 a=b\n', 'x a=b\n', '6 a b\n', '20 size=12345678901\n']) {
      expect(() => readAll(rawTar({ header: { [TYPE]: 'x' }, data: Buffer.from(text) }, { header: {} }))).toThrow(
        layerInvalid,
      )
    }
  })

  test('of an unknown type is refused', () => {
    expect(() => readAll(rawTar({ header: { [TYPE]: 'Z' } }))).toThrow(layerInvalid)
  })

  test('whose names climb or are absolute stays in the root', () => {
    expect(scan(named('../../etc/passwd', '/abs', './a/../b', 'c//d')).map((entry) => entry.path)).toEqual([
      'abs',
      'b',
      'c/d',
      'etc/passwd',
    ])
  })

  test('that writes through a link of its own stays in the root', () => {
    const tar = rawTar({ header: { 0: 'l\0', [TYPE]: '2', 157: '../../../etc\0' } }, { header: { 0: 'l/passwd\0' } })
    expect(scan(tar).map((entry) => entry.path)).toEqual(['etc/passwd', 'l'])
  })

  test('whose links lead in a circle is refused', () => {
    const tar = rawTar(
      { header: { 0: 'a\0', [TYPE]: '2', 157: 'b\0' } },
      { header: { 0: 'b\0', [TYPE]: '2', 157: 'a\0' } },
      { header: { 0: 'a/x\0' } },
    )
    expect(() => scan(tar)).toThrow(layerInvalid)
  })

  test('that deletes a directory by the name `..` is refused', () => {
    for (const name of ['a/.wh...', 'a/.wh.', 'a/.wh..']) expect(() => scan(named(name))).toThrow(layerInvalid)
  })

  test('that puts a name below a file is refused', () => {
    expect(() => scan(named('a', 'a/b'))).toThrow(layerInvalid)
  })

  test('is read or refused, and never crashes, whatever byte is changed', () => {
    const tar = rawTar(
      { header: { [TYPE]: 'x' }, data: Buffer.from('12 path=a/b\n') },
      { header: {}, data: Buffer.from('data') },
      { header: { 0: 'l\0', [TYPE]: '1', 157: 'a/b\0' } },
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(tar.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(tar.length),
        (changes, length) => {
          const copy = Buffer.from(tar)
          for (const [at, byte] of changes) copy[at] = byte
          try {
            scan(copy.subarray(0, length))
          } catch (error) {
            if (!isTsOciError(error)) throw error
          }
        },
      ),
      { numRuns: 2000 },
    )
  })
})

test('entries do not depend on how the tar is cut into chunks', () => {
  const tar = rawTar(
    { header: { [TYPE]: 'x' }, data: Buffer.from('14 path=long/n\n'.replace('14', '15')) },
    { header: {}, data: Buffer.alloc(1300, 'q') },
    { header: { 0: 'dir/\0', [TYPE]: '5' } },
  )
  const whole = readAll(tar, tar.length)
  expect(whole.map((entry) => entry.name)).toEqual(['long/n', 'dir/'])
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), (chunkBytes) => {
      expect(readAll(tar, chunkBytes)).toEqual(whole)
    }),
  )
})

describe('a table', () => {
  test('holds whiteouts and opaque markers by the names that they hide', () => {
    expect(scan(named('d/.wh.gone', 'd/.wh..wh..opq', 'd/new')).map((entry) => `${entry.type} ${entry.path}`)).toEqual([
      'opaque d',
      'whiteout d/gone',
      'file d/new',
    ])
  })

  test('keeps the later of two entries of one name', () => {
    const tar = rawTar(
      { header: { 0: 'a\0' }, data: Buffer.from('old') },
      { header: { 0: 'a\0' }, data: Buffer.from('newer') },
    )
    expect(scan(tar)).toMatchObject([{ path: 'a', size: 5, content: { kind: 'range', offset: 1536 } }])
  })

  // As containerd leaves them: boundTime of its archive package, and chown(2), to which an id of all ones is none.
  test('holds times out of range as the epoch, and owners that none can be as root', () => {
    const records = (...pairs: [string, string][]): Buffer => rawPax(pairs)
    const tar = Buffer.concat([
      records(['mtime', '-5.25']),
      rawEntry({ name: 'a' }),
      records(['mtime', '99999999999']),
      rawEntry({ name: 'b' }),
      records(['mtime', '9223372036.5'], ['uid', '4294967295'], ['gid', '4294967294']),
      rawEntry({ name: 'c' }),
      END,
    ])
    const facts = scan(tar).map(({ path, mtimeSec, mtimeNsec, uid, gid }) => [path, mtimeSec, mtimeNsec, uid, gid])
    expect(facts).toEqual([
      ['a', 0, 0, 0, 0],
      ['b', 0, 0, 0, 0],
      ['c', 9_223_372_036, 500_000_000, 0, 4_294_967_294],
    ])
  })

  test('gives the data to the first of several names', () => {
    const tar = rawTar(
      { header: { 0: 'z\0' }, data: Buffer.from('data') },
      { header: { 0: 'a\0', [TYPE]: '1', 157: 'z\0' } },
    )
    expect(scan(tar)).toMatchObject([
      { path: 'a', type: 'file', size: 4, content: { offset: 512 } },
      { path: 'z', type: 'hardlink', link: 'a' },
    ])
  })

  test('is sorted as a tar is: a directory, its content, then names that continue it', () => {
    expect(
      scan(named('a-b', 'a/x', 'a0', 'a'))
        .map((entry) => entry.path)
        .toSorted(),
    ).toEqual(['a', 'a-b', 'a0'])
    expect(
      scan(
        rawTar(
          { header: { 0: 'a-b\0' } },
          { header: { 0: 'a/\0', [TYPE]: '5' } },
          { header: { 0: 'a/x\0' } },
          { header: { 0: 'a0\0' } },
        ),
      ).map((entry) => entry.path),
    ).toEqual(['a', 'a/x', 'a-b', 'a0'])
  })
})
