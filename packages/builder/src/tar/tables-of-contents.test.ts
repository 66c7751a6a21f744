import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, testWith, type TemporaryDirectory } from '@ts-oci/testing'
import { compressFile, type CompressedFile } from './compression.ts'

/** More than one chunk. */
const BIG = randomBytes((9 << 20) + 77)
const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

interface Entry {
  readonly name: string
  readonly type: string
  readonly size?: number
  readonly offset?: number
  readonly endOffset?: number
  readonly chunkOffset?: number
  readonly chunkSize?: number
  readonly chunkDigest?: string
  readonly digest?: string
  readonly mode?: number
  readonly linkName?: string
  readonly modtime?: string
  readonly xattrs?: Readonly<Record<string, string>>
}

let work: TemporaryDirectory
let tar: Buffer

beforeAll(async () => {
  work = await temporaryDirectory()
  const files = work.join('files')
  mkdirSync(`${files}/d/sub`, { recursive: true })
  writeFileSync(`${files}/d/big`, BIG)
  writeFileSync(`${files}/d/small`, 'hello\n', { mode: 0o640 })
  writeFileSync(`${files}/d/empty`, '')
  writeFileSync(`${files}/d/${'long-'.repeat(30)}é`, 'x')
  symlinkSync('small', `${files}/d/link`)
  linkSync(`${files}/d/small`, `${files}/d/z-hard`)
  const flags = [
    '--format=pax',
    '--sort=name',
    '--mtime=2001-02-03T04:05:06Z',
    '--owner=5',
    '--group=6',
    '--numeric-owner',
  ]
  execFileSync('tar', [...flags, '-cf', work.join('tar'), '-C', files, 'd'])
  tar = readFileSync(work.join('tar'))
})
afterAll(async () => work[Symbol.asyncDispose]())

async function compressed(
  compression: 'estargz' | 'zstd:chunked',
): Promise<CompressedFile & { readonly bytes: Buffer }> {
  const destination = work.join(`out-${randomBytes(4).toString('hex')}`)
  const result = await compressFile({ source: work.join('tar'), destination, compression })
  return { ...result, bytes: readFileSync(destination) }
}

/** What both tables say of what is no content. */
function expectEntries(entries: readonly Entry[]): void {
  const of = (name: string): Entry | undefined => entries.find((entry) => entry.name === name && entry.type !== 'chunk')
  expect(of('d/')).toMatchObject({ type: 'dir', modtime: '2001-02-03T04:05:06Z' })
  expect(of('d/small')).toMatchObject({
    type: 'reg',
    size: 6,
    mode: 0o640,
    uid: 5,
    gid: 6,
    digest: sha256(Buffer.from('hello\n')),
  })
  expect(of('d/link')).toMatchObject({ type: 'symlink', linkName: 'small' })
  expect(of('d/z-hard')).toMatchObject({ type: 'hardlink', linkName: 'd/small' })
  expect(of('d/empty')).not.toHaveProperty('offset')
  expect(of(`d/${'long-'.repeat(30)}é`)).toMatchObject({ size: 1 })
  expect(of('d/big')).toMatchObject({ size: BIG.length, digest: sha256(BIG) })
}

describe('estargz', () => {
  test('is gzip of the tar with two more files, and names the digest of that tar', async () => {
    const { bytes, diffId, annotations } = await compressed('estargz')
    const plain = gunzipSync(bytes)
    expect(sha256(plain)).toBe(diffId)
    expect(annotations).toMatchObject({ 'io.containers.estargz.uncompressed-size': String(plain.length) })
    writeFileSync(work.join('blob.tgz'), bytes)
    const names = execFileSync('tar', ['-tzf', work.join('blob.tgz')], { encoding: 'utf8' })
      .trimEnd()
      .split('\n')
    const own = execFileSync('tar', ['-tf', work.join('tar')], { encoding: 'utf8' })
      .trimEnd()
      .split('\n')
    expect(names).toEqual(['.no.prefetch.landmark', ...own, 'stargz.index.json'])
  })

  // stargz-snapshotter, docs/estargz.md: the footer is an empty member whose extra field SG has the place of the table.
  test('has a table of contents by which each piece of a file can be read alone', async () => {
    const { bytes, annotations } = await compressed('estargz')
    const footer = bytes.subarray(-51)
    expect(footer.subarray(0, 4)).toEqual(Buffer.from([0x1f, 0x8b, 8, 4]))
    expect(gunzipSync(footer)).toHaveLength(0)
    expect(footer.subarray(12, 16)).toEqual(Buffer.from([0x53, 0x47, 22, 0]))
    const place = /^([0-9a-f]{16})STARGZ$/.exec(footer.subarray(16, 38).toString('latin1'))
    const table = gunzipSync(bytes.subarray(Number.parseInt(place![1]!, 16), -51))
    const json = table.subarray(512, 512 + Number.parseInt(table.subarray(124, 135).toString(), 8))
    expect(sha256(json)).toBe(annotations!['containerd.io/snapshot/stargz/toc.digest'])
    const { version, entries } = JSON.parse(json.toString()) as { version: number; entries: Entry[] }
    expect(version).toBe(1)
    expectEntries(entries)
    const pieces = entries.filter(({ offset }) => offset !== undefined)
    // The mark, three chunks, the small ones.
    expect(pieces).toHaveLength(1 + 3 + 2)
    for (const { name, offset, chunkOffset = 0, chunkSize, chunkDigest } of pieces) {
      const whole = entries.find((entry) => entry.name === name && entry.type === 'reg')!.size!
      const length = chunkSize ?? whole - chunkOffset
      expect(sha256(gunzipSync(bytes.subarray(offset)).subarray(0, length))).toBe(chunkDigest)
    }
  })
})

describe('zstd:chunked', () => {
  testWith(['zstd'], 'is zstd of the very tar', async () => {
    const { bytes, diffId } = await compressed('zstd:chunked')
    expect(diffId).toBeUndefined()
    writeFileSync(work.join('blob.zst'), bytes)
    await checkTool('zstd', ['-dq', work.join('blob.zst'), '-o', work.join('plain')])
    expect(sha256(readFileSync(work.join('plain')))).toBe(sha256(tar))
  })

  // containers/storage, pkg/chunked: the footer's eight numbers are in the last frame, which decoders skip.
  test('has a table of contents by which each piece of a file can be read alone', async () => {
    const { bytes, annotations } = await compressed('zstd:chunked')
    const footer = bytes.subarray(-64)
    expect(bytes.subarray(-72, -64)).toEqual(Buffer.from([0x50, 0x2a, 0x4d, 0x18, 64, 0, 0, 0]))
    expect(footer.subarray(56).toString()).toBe('GNUlInUx')
    const [at, packed, size, type] = [0, 8, 16, 24].map((place) => Number(footer.readBigUInt64LE(place)))
    const prefix = 'io.github.containers.zstd-chunked'
    expect(annotations![`${prefix}.manifest-position`]).toBe([at, packed, size, type].join(':'))
    const stored = bytes.subarray(at, at! + packed!)
    expect(sha256(stored)).toBe(annotations![`${prefix}.manifest-checksum`])
    const json = zstdDecompressSync(stored)
    expect(json).toHaveLength(size!)
    const { entries } = JSON.parse(json.toString()) as { entries: Entry[] }
    expectEntries(entries)
    for (const { name, offset, endOffset, chunkSize, chunkDigest, digest } of entries) {
      if (offset === undefined) continue
      const next = entries.find((entry) => (entry.offset ?? 0) > offset)?.offset
      const piece = zstdDecompressSync(bytes.subarray(offset, chunkSize === undefined ? endOffset : next))
      const length = chunkSize ?? entries.find((entry) => entry.name === name)!.size!
      expect(sha256(piece.subarray(0, length))).toBe(chunkDigest ?? digest)
    }
  })

  // vbatts/tar-split: the segments, with the contents between them, are the tar; sums are CRC-64 with the polynomial of ISO.
  test('can be put together again from its files', async () => {
    const { bytes, annotations } = await compressed('zstd:chunked')
    const [at, packed] = annotations!['io.github.containers.zstd-chunked.tarsplit-position']!.split(':').map(Number)
    const lines = zstdDecompressSync(bytes.subarray(at, at! + packed!))
      .toString()
      .trimEnd()
      .split('\n')
    const records = lines.map(
      (line) => JSON.parse(line) as { type: number; name?: string; size?: number; payload: string | null },
    )
    const parts = records.map(({ type, name, size, payload }) =>
      type === 2
        ? Buffer.from(payload!, 'base64')
        : size === undefined
          ? Buffer.of()
          : readFileSync(work.join(`files/${name}`)),
    )
    expect(sha256(Buffer.concat(parts))).toBe(sha256(tar))
    expect(records.find(({ name }) => name === 'd/link')).toMatchObject({ type: 1, payload: null })
    // Worked out with the definition, bit by bit.
    const small = records.find(({ name }) => name === 'd/small')
    expect(small?.payload).toBe(slowSum(Buffer.from('hello\n')))
  })
})

/** The sum by its definition; of "123456789" it is b90956c775a41001 in the catalogue of CRCs (CRC-64/GO-ISO). */
function slowSum(bytes: Buffer): string {
  const mask = 2n ** 64n - 1n
  let sum = mask
  for (const byte of bytes) {
    sum ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1n) === 1n ? (sum >> 1n) ^ 0xd8_00_00_00_00_00_00_00n : sum >> 1n
  }
  const result = Buffer.alloc(8)
  result.writeBigUInt64BE(sum ^ mask)
  return result.toString('base64')
}

test('the sum that the tests compare with is that of the catalogue', () => {
  expect(Buffer.from(slowSum(Buffer.from('123456789')), 'base64').toString('hex')).toBe('b90956c775a41001')
})

// A layer of 4 GiB took more than 200 MB while what was compressed waited for a collection.
test.each(['estargz', 'zstd:chunked'] as const)('memory for %s does not follow the size of a file', async (kind) => {
  const file = work.join('large')
  writeFileSync(file, '')
  truncateSync(file, 160 << 20)
  const source = work.join('large.tar')
  execFileSync('tar', ['-cf', source, '-C', work.path, 'large'])
  const before = process.memoryUsage().arrayBuffers
  let grown = 0
  const timer = setInterval(() => (grown = Math.max(grown, process.memoryUsage().arrayBuffers - before)), 1)
  await compressFile({ source, destination: `${source}.${kind.slice(0, 4)}`, compression: kind })
  clearInterval(timer)
  // A piece for each thread and one beside them, and as much again for what comes of it.
  expect(grown).toBeLessThan((availableParallelism() + 2) * 8 * 1024 * 1024)
})
