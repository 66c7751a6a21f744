import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { checkTool, describeWith, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { decodeTable, encodeTable } from '../store/table-codec.ts'
import { contentChunks, createContentReader } from './file-bytes.ts'
import { extractLayer } from './extract.ts'
import { materializeLayer } from './materialize.ts'
import { packLayer } from './pack.ts'
import { scanTarFile } from '../tar/scan-file.test.helper.ts'
import { createTableBounds } from '../tar/table-bounds.ts'
import type { TarEntry } from '../tar/tar-entry.ts'
import type { LayerEntry } from '../view/types.ts'

const options = { xattrs: 'user', owners: 'record' } as const

const SIZE = 3_000_000

/** `sparse`: data at the start and in the middle, a hole at the end; `plain` behind it. */
async function makeTar(directory: TemporaryDirectory, version: string): Promise<string> {
  const script = `truncate -s ${SIZE} sparse; printf start | dd of=sparse conv=notrunc status=none
    yes data | head -c 200000 | dd of=sparse bs=1000 seek=1500 conv=notrunc status=none iflag=fullblock; echo plain > plain
    tar --sparse --format=posix --sparse-version=${version} -cf x.tar sparse plain`
  await checkTool('sh', ['-euc', script], { cwd: directory.path })
  return directory.join('x.tar')
}

describeWith(['tar'], 'a sparse file in a layer', () => {
  for (const version of ['0.0', '0.1', '1.0']) {
    test(`of form ${version} is unpacked with its holes, and read from the tar as it was`, async () => {
      await using directory = await temporaryDirectory()
      const tar = await makeTar(directory, version)
      const wanted = readFileSync(directory.join('sparse'))
      const tree = directory.join('tree')
      mkdirSync(tree)
      const { entries } = await extractLayer({ file: tar, compression: 'none', destination: tree, ...options })
      expect(readFileSync(`${tree}/sparse`).equals(wanted)).toBe(true)
      expect(readFileSync(`${tree}/plain`, 'utf8')).toBe('plain\n')
      expect(statSync(`${tree}/sparse`).blocks * 512).toBeLessThan(SIZE / 2)
      const scanned = decodeTable(encodeTable({ entries: scanTarFile(tar, { hashFiles: true }).entries })).entries
      const sparse = named(scanned, 'sparse')
      expect(sparse).toMatchObject({
        size: SIZE,
        contentDigest: `sha256:${createHash('sha256').update(wanted).digest('hex')}`,
      })
      expect(Buffer.concat([...contentChunks(sparse)]).equals(wanted)).toBe(true)
      expect(
        Buffer.concat([...contentChunks(sparse, { start: 3, end: 1_500_007 })]).equals(wanted.subarray(3, 1_500_007)),
      ).toBe(true)
      using reader = createContentReader()
      expect(reader.readStart(sparse, 8).toString()).toBe('start\0\0\0')
      expect(Buffer.concat([...contentChunks(named(scanned, 'plain'))]).toString()).toBe('plain\n')
      expect(entries.map(({ path, size }) => `${path} ${size}`)).toEqual(['plain 6', `sparse ${SIZE}`])
    })
  }

  test('is written whole into a tree and into another layer', async () => {
    await using directory = await temporaryDirectory()
    const { entries } = scanTarFile(await makeTar(directory, '1.0'))
    const wanted = readFileSync(directory.join('sparse'))
    const tree = directory.join('tree')
    mkdirSync(tree)
    materializeLayer({ entries, destination: tree, ...options })
    expect(readFileSync(`${tree}/sparse`).equals(wanted)).toBe(true)
    packLayer([...entries], directory.join('y.tar'))
    const packed = named(scanTarFile(directory.join('y.tar')).entries, 'sparse')
    expect(Buffer.concat([...contentChunks(packed)]).equals(wanted)).toBe(true)
  })
})

test('maps of sparse files count for what a table may cost', () => {
  const entry = {
    name: 's',
    link: '',
    size: 1000,
    map: Array.from({ length: 100 }, (_, at) => ({ offset: at * 2, length: 1 })),
  }
  const bounds = createTableBounds(100, 10_000)
  bounds.take(entry as unknown as TarEntry)
  expect(() => bounds.take(entry as unknown as TarEntry)).toThrow(
    expect.objectContaining({ code: 'OCI_LAYER_INVALID' }),
  )
})

test('a layer whose sparse files are larger than a tebibyte together is refused, however small it is', () => {
  const entry = { name: 's', link: '', size: 2 ** 39, map: [{ offset: 0, length: 1 }] } as unknown as TarEntry
  const bounds = createTableBounds()
  bounds.take(entry)
  bounds.take(entry)
  expect(() => bounds.take(entry)).toThrow(expect.objectContaining({ code: 'OCI_LAYER_INVALID' }))
})

function named(entries: readonly LayerEntry[], path: string): LayerEntry {
  return entries.find((entry) => entry.path === path)!
}
