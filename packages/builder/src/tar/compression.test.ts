import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, testWith } from '@ts-oci/testing'
import { compressFile, compressorId } from './compression.ts'
import { decompress, detectCompression } from './decompress.ts'

const MEBI = 1 << 20
const text = (bytes: number): Buffer =>
  Buffer.from(
    Array.from({ length: Math.ceil(bytes / 8) }, (_, index) => String(index % 977).padStart(8, ' ')).join(''),
  ).subarray(0, bytes)

/** What a script prints in a process of its own. */
function runNode(script: string, args: readonly string[], env: NodeJS.ProcessEnv): string {
  const flags = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning', '--input-type=module']
  return execFileSync(process.execPath, [...flags, '-e', script, ...args], {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    encoding: 'utf8',
  }).trim()
}

async function compressed(
  content: Buffer,
  compression: 'gzip' | 'zstd',
  level?: number,
): Promise<{ readonly bytes: Buffer; readonly digest: string; readonly sizeBytes: number }> {
  await using directory = await temporaryDirectory()
  writeFileSync(directory.join('tar'), content)
  const result = await compressFile({
    source: directory.join('tar'),
    destination: directory.join('out'),
    compression,
    level,
  })
  expect(statSync(directory.join('out')).size).toBe(result.sizeBytes)
  return { ...result, bytes: readFileSync(directory.join('out')) }
}

describe('gzip', () => {
  const contents: readonly (readonly [string, Buffer])[] = [
    ['nothing', Buffer.alloc(0)],
    ['an empty layer', Buffer.alloc(1024)],
    ['exactly one block', text(MEBI)],
    ['a byte more than two blocks', text(2 * MEBI + 1)],
    ['what does not shrink', randomBytes(2 * MEBI + 77)],
    ['both in turn', Buffer.concat([text(MEBI), randomBytes(MEBI), text(MEBI + 5), randomBytes(100_000)])],
  ]
  for (const [what, content] of contents) {
    test(`of ${what} inflates to the same bytes`, async () => {
      for (const level of [0, 1, undefined, 9])
        expect(gunzipSync((await compressed(content, 'gzip', level)).bytes).equals(content)).toBe(true)
    })
  }

  test("begins as BuildKit's layers do, and is one member", async () => {
    const { bytes } = await compressed(text(3 * MEBI), 'gzip')
    expect(bytes.toString('hex', 0, 10)).toBe('1f8b08000000000000ff')
    // RFC 1952: the member ends with the length of ALL bytes.
    expect(bytes.readUInt32LE(bytes.length - 4)).toBe(3 * MEBI)
  })

  test('carries its window over the blocks: a repeated block costs next to nothing', async () => {
    const block = randomBytes(20_000)
    const repeated = Buffer.concat([text(MEBI - 20_000), block, block, text(MEBI)])
    const plain = Buffer.concat([text(MEBI - 20_000), block, text(MEBI)])
    const difference = (await compressed(repeated, 'gzip')).sizeBytes - (await compressed(plain, 'gzip')).sizeBytes
    expect(difference).toBeLessThan(5000)
  })

  test('does not grow what does not shrink', async () => {
    const content = randomBytes(4 * MEBI)
    expect((await compressed(content, 'gzip')).sizeBytes).toBeLessThan(content.length * 1.001)
  })

  test('is the same bytes whatever the number of threads', async () => {
    await using directory = await temporaryDirectory()
    writeFileSync(directory.join('tar'), text(5 * MEBI))
    const module = new URL('./compression.ts', import.meta.url).href
    const script = `const { compressFile } = await import(${JSON.stringify(module)}); console.log((await compressFile({ source: process.argv[1], destination: process.argv[2], compression: 'gzip' })).digest)`
    const digests = [1, 2, 4].map((threads) =>
      runNode(script, [directory.join('tar'), directory.join(`out${threads}`)], {
        UV_THREADPOOL_SIZE: String(threads),
      }),
    )
    expect(new Set(digests).size).toBe(1)
  })

  test('of a file that is still being written is the same bytes', async () => {
    await using directory = await temporaryDirectory()
    const content = text(5 * MEBI + 77)
    const growing = (async () => {
      for (let at = 0; at < content.length; at += 700_000) {
        appendFileSync(directory.join('tar'), content.subarray(at, at + 700_000))
        await delay(5)
      }
    })()
    const options = { source: directory.join('tar'), compression: 'gzip' } as const
    const early = await compressFile({ ...options, destination: directory.join('early'), growing })
    expect(await compressFile({ ...options, destination: directory.join('late') })).toEqual(early)
    expect(gunzipSync(readFileSync(directory.join('early'))).equals(content)).toBe(true)
  })

  test('of a file whose writing fails fails with that', async () => {
    await using directory = await temporaryDirectory()
    writeFileSync(directory.join('tar'), text(MEBI + 5))
    const growing = delay(20).then(() => Promise.reject(new Error('disk full')))
    const options = { source: directory.join('tar'), destination: directory.join('out'), compression: 'gzip' } as const
    await expect(compressFile({ ...options, growing })).rejects.toThrow('disk full')
  })

  testWith(['gzip'], 'is read by gzip', async () => {
    await using directory = await temporaryDirectory()
    writeFileSync(directory.join('x'), text(2 * MEBI))
    await compressFile({ source: directory.join('x'), destination: directory.join('x.gz'), compression: 'gzip' })
    await checkTool('gzip', ['-t', directory.join('x.gz')])
  })
})

test('zstd inflates to the same bytes', async () => {
  for (const content of [Buffer.alloc(1024), text(3 * MEBI + 1)])
    expect(zstdDecompressSync((await compressed(content, 'zstd')).bytes).equals(content)).toBe(true)
})

test('an abort ends the work', async () => {
  await using directory = await temporaryDirectory()
  writeFileSync(directory.join('x'), text(MEBI))
  for (const compression of ['gzip', 'zstd'] as const) {
    await expect(
      compressFile({
        source: directory.join('x'),
        destination: directory.join(compression),
        compression,
        signal: AbortSignal.abort(new Error('stop')),
      }),
    ).rejects.toThrow('stop')
  }
})

test('a compressor is named with its version and level, and a level that does not exist is refused', () => {
  expect(compressorId('gzip', 6)).toBe(`node-zlib ${process.versions.zlib} level 6`)
  expect(compressorId('gzip')).toMatch(/^ts-oci deflate \d+$/)
  expect(compressorId('zstd')).toContain(process.versions['zstd'])
  for (const [compression, level] of [
    ['gzip', 10],
    ['gzip', -1],
    ['zstd', 23],
    ['gzip', 1.5],
  ] as const) {
    expect(() => compressorId(compression, level)).toThrow(expect.objectContaining({ code: 'OCI_OPTION_INVALID' }))
  }
})

describe('decompressing', () => {
  async function all(bytes: Buffer): Promise<Buffer> {
    const pieces: Buffer[] = []
    for await (const piece of decompress([bytes.subarray(0, 10), bytes.subarray(10)], detectCompression(bytes)))
      pieces.push(Buffer.from(piece))
    return Buffer.concat(pieces)
  }

  for (const tool of ['gzip', 'bzip2', 'xz', 'zstd']) {
    testWith([tool], `reads what ${tool} wrote, several parts of it too`, async () => {
      await using directory = await temporaryDirectory()
      await checkTool('sh', ['-euc', `printf one > 1; printf two > 2; for i in 1 2; do ${tool} -c $i; done > both`], {
        cwd: directory.path,
      })
      expect((await all(readFileSync(directory.join('both')))).toString()).toBe('onetwo')
    })
    testWith([tool], `refuses ${tool} data that is cut off`, async () => {
      await using directory = await temporaryDirectory()
      writeFileSync(directory.join('x'), randomBytes(100_000))
      await checkTool('sh', ['-euc', `${tool} -c x > y`], { cwd: directory.path })
      const bytes = readFileSync(directory.join('y'))
      await expect(all(bytes.subarray(0, bytes.length - 50_000))).rejects.toMatchObject({
        code: 'OCI_ARCHIVE_INVALID',
      })
    })
  }

  test('says which program is missing', () => {
    const module = new URL('./decompress.ts', import.meta.url).href
    const script = `const { decompress } = await import(${JSON.stringify(module)}); try { for await (const piece of decompress([Buffer.from('x')], 'xz')) console.log(piece) } catch (error) { console.log(error.code, error.details.program) }`
    expect(runNode(script, [], { PATH: '/nonexistent' })).toBe('OCI_COMPRESSION_UNSUPPORTED xz')
  })

  test('takes what it does not know for uncompressed', () => {
    expect(detectCompression(Buffer.from('plain'))).toBe('none')
    expect(detectCompression(Buffer.alloc(0))).toBe('none')
  })
})
