import { appendFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { contentChunks, isSameContent } from './file-bytes.ts'
import { makeEntry } from '../view/entry.ts'
import { packLayer } from './pack.ts'
import { scanTarFile } from '../tar/scan-file.test.helper.ts'
import type { ContentSource, LayerEntry } from '../view/types.ts'

const SECONDS = 1_600_000_000
const entryOf = (path: string, size: number, content: ContentSource): LayerEntry =>
  makeEntry({ path, type: 'file', mode: 0o644, size, mtimeSec: SECONDS, content })
const inContext = (root: string, path: string, size: number): LayerEntry =>
  entryOf(path, size, { kind: 'context', root, path, mtimeNs: `${SECONDS}000000000` })

function writeContextFile(path: string, text: string): void {
  writeFileSync(path, text)
  utimesSync(path, SECONDS, SECONDS)
}

describe('packing', () => {
  test('takes content from ranges, trees, contexts and memory, small and larger than a buffer', async () => {
    await using directory = await temporaryDirectory()
    const large = Buffer.alloc(3_000_001, 'large ')
    writeContextFile(directory.join('large'), large.toString())
    writeContextFile(directory.join('small'), 'small')
    writeFileSync(directory.join('range'), '....ranged....')
    const entries = [
      entryOf('a', 6, { kind: 'inline', bytes: Buffer.from('inline') }),
      inContext(directory.path, 'large', large.length),
      entryOf('r', 6, { kind: 'range', file: directory.join('range'), offset: 4 }),
      inContext(directory.path, 'small', 5),
      entryOf('t', large.length, { kind: 'tree', root: directory.path, path: 'large' }),
    ]
    const tar = directory.join('x.tar')
    const packed = packLayer(entries, tar)
    const bytes = readFileSync(tar)
    expect(packed.sizeBytes).toBe(bytes.length)
    expect(packed.diffId).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
    const contents = scanTarFile(tar).entries.map((entry) => Buffer.concat([...contentChunks(entry)]))
    expect(contents.map((content) => content.length)).toEqual([6, large.length, 6, 5, large.length])
    expect([contents[0], contents[2], contents[3]].map(String)).toEqual(['inline', 'ranged', 'small'])
    expect(contents[1]!.equals(large) && contents[4]!.equals(large)).toBe(true)
  })

  test('answers the table with ranges into the tar', async () => {
    await using directory = await temporaryDirectory()
    const packed = packLayer([entryOf('a', 1, { kind: 'inline', bytes: Buffer.from('x') })], directory.join('x.tar'))
    expect(packed.table.entries).toMatchObject([{ path: 'a', content: { kind: 'range', file: '', offset: 512 } }])
  })

  test('a directory of which only the time is new is in the table alone', async () => {
    await using directory = await temporaryDirectory()
    const entry = makeEntry({ path: 'd', type: 'directory', mode: 0o755, mtimeSec: SECONDS, isTimeOnly: true })
    const packed = packLayer([entry], directory.join('x.tar'))
    // sha256 of 1024 zero bytes.
    expect(packed.diffId).toBe('sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef')
    expect(packed.table.entries).toEqual([entry])
  })

  test('clamps times when it is asked to', async () => {
    await using directory = await temporaryDirectory()
    packLayer(
      [
        makeEntry({ path: 'a', type: 'file', mtimeSec: 20, mtimeNsec: 5 }),
        makeEntry({ path: 'b', type: 'file', mtimeSec: 5 }),
      ],
      directory.join('x.tar'),
      { latestMtimeSec: 10 },
    )
    expect(scanTarFile(directory.join('x.tar')).entries.map((entry) => entry.mtimeSec)).toEqual([10, 5])
  })
})

describe('a file of a context that is not what was listed', () => {
  const changes: readonly (readonly [string, (path: string) => void])[] = [
    ['grew', (path) => appendFileSync(path, 'more')],
    ['shrank', (path) => writeContextFile(path, 'x')],
    ['was written again at another time', (path) => utimesSync(path, SECONDS, SECONDS + 1)],
    ['vanished', (path) => rmSync(path)],
    ['became a directory', (path) => (rmSync(path), mkdirSync(path))],
    ['became a link to a file outside', (path) => (rmSync(path), symlinkSync('/etc/passwd', path))],
  ]
  for (const [what, change] of changes) {
    test(`and ${what} stops the packing`, async () => {
      await using directory = await temporaryDirectory()
      for (const size of [10, 2_000_000]) {
        const path = directory.join('f')
        rmSync(path, { recursive: true, force: true })
        writeContextFile(path, 'f'.repeat(size))
        change(path)
        const pack = (): unknown => packLayer([inContext(directory.path, 'f', size)], directory.join(`${size}.tar`))
        expect(pack).toThrow(expect.objectContaining({ code: 'OCI_CONTEXT_CHANGED' }))
      }
    })
  }
})

test('two contents are the same when all their bytes are, wherever they lie', async () => {
  await using directory = await temporaryDirectory()
  const bytes = Buffer.alloc(700_000, 'abc')
  writeFileSync(directory.join('f'), bytes)
  const inTree = entryOf('f', bytes.length, { kind: 'tree', root: directory.path, path: 'f' })
  const inMemory = entryOf('f', bytes.length, { kind: 'inline', bytes })
  expect(isSameContent(inTree, inMemory)).toBe(true)
  expect(isSameContent(inMemory, inTree)).toBe(true)
  const other = Buffer.from(bytes)
  other[other.length - 1] = 0
  expect(isSameContent(inTree, entryOf('f', other.length, { kind: 'inline', bytes: other }))).toBe(false)
})
