import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { testWith } from '@ts-oci/testing'
import { pack, type Header } from 'tar-stream'
import { contentChunks } from '../disk/file-bytes.ts'
import type { LocalResult } from './types.ts'
import { openStreamContext, type StreamContext } from './archive.ts'

let source: string
let temporary: string

beforeEach(() => {
  source = mkdtempSync(join(tmpdir(), 'ts-oci-source-'))
  temporary = mkdtempSync(join(tmpdir(), 'ts-oci-temporary-'))
})

afterEach(() => {
  rmSync(source, { recursive: true, force: true })
  rmSync(temporary, { recursive: true, force: true })
})

async function* inPieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

function open(bytes: Uint8Array, size?: number): Promise<StreamContext> {
  return openStreamContext({ stream: inPieces(bytes, size), temporaryDirectory: temporary })
}

function paths({ view }: LocalResult): string[] {
  return [...view.walk('')].map((entry) => entry.path)
}

function text({ view }: LocalResult, path: string): string {
  return Buffer.concat([...contentChunks(view.lookup(path)!)].map((chunk) => Buffer.from(chunk))).toString()
}

async function tarOf(...entries: [Partial<Header> & { name: string }, string?][]): Promise<Buffer> {
  const packer = pack()
  for (const [header, body] of entries) packer.entry(header, body ?? '')
  packer.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of packer) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const tarOfSource = (...options: string[]): Buffer =>
  execFileSync('tar', ['-C', source, ...options, '-c', '.'], { maxBuffer: 1 << 26 })

describe('an archive of GNU tar', () => {
  beforeEach(() => {
    mkdirSync(join(source, 'src'))
    writeFileSync(join(source, 'Dockerfile'), 'FROM scratch\n')
    writeFileSync(join(source, 'src/main.js'), 'x'.repeat(5000))
    writeFileSync(join(source, 'src/empty'), '')
    chmodSync(join(source, 'src/main.js'), 0o750)
    linkSync(join(source, 'src/main.js'), join(source, 'src/same.js'))
    symlinkSync('../Dockerfile', join(source, 'src/link'))
    utimesSync(join(source, 'src/main.js'), 1_500_000_000, 1_500_000_000)
  })

  test('is a context with its modes, times, owners and links', async () => {
    const { kind, context } = await open(tarOfSource('--owner=7', '--group=8'))
    expect(kind).toBe('archive')
    expect(paths(context)).toEqual(['Dockerfile', 'src', 'src/empty', 'src/link', 'src/main.js', 'src/same.js'])
    expect(context.view.entry('src/main.js')).toMatchObject({
      mode: 0o750,
      uid: 7,
      gid: 8,
      mtimeSec: 1_500_000_000,
      size: 5000,
    })
    expect(context.view.entry('src/same.js')?.linkKey).toBe(context.view.entry('src/main.js')?.linkKey)
    expect(text(context, 'src/same.js')).toBe('x'.repeat(5000))
    expect(text(context, 'src/link')).toBe('FROM scratch\n')
    expect(context.view.entry('src/empty')?.content).toBeUndefined()
  })

  test.each<[string, (tar: Buffer) => Uint8Array]>([
    ['gzip', (tar) => gzipSync(tar)],
    ['gzip of two members', (tar) => Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))])],
    ['zstd', (tar) => zstdCompressSync(tar)],
  ])('compressed by %s is the same context', async (_name, compress) => {
    const tar = tarOfSource()
    const { context } = await open(compress(tar), 100)
    expect(paths(context)).toContain('src/main.js')
    expect(text(context, 'Dockerfile')).toBe('FROM scratch\n')
  })

  for (const program of ['bzip2', 'xz'] as const) {
    testWith([program], `compressed by ${program} is the same context`, async () => {
      const { context } = await open(execFileSync(program, ['-c'], { input: tarOfSource() }))
      expect(text(context, 'src/main.js')).toBe('x'.repeat(5000))
    })
  }

  test('has content digests that times do not change', async () => {
    const selector = { path: 'src', followLast: true, allowWildcard: true, includePatterns: [], excludePatterns: [] }
    const first = await open(tarOfSource())
    const digest = await first.context.digestPaths([selector])
    utimesSync(join(source, 'src/main.js'), 1, 1)
    const other = mkdtempSync(join(tmpdir(), 'ts-oci-temporary-'))
    const second = await openStreamContext({
      stream: inPieces(tarOfSource('--format=pax')),
      temporaryDirectory: other,
    })
    expect(await second.context.digestPaths([selector])).toBe(digest)
    rmSync(other, { recursive: true })
    await expect(second.context.digestPaths([{ ...selector, path: 'none' }])).rejects.toMatchObject({
      code: 'OCI_COPY_SOURCE_NOT_FOUND',
    })
  })

  test('that is cut off is refused', async () => {
    await expect(open(tarOfSource().subarray(0, 2000))).rejects.toMatchObject({ code: 'OCI_ARCHIVE_INVALID' })
  })

  test('whose compression is damaged is refused', async () => {
    const bytes = gzipSync(tarOfSource())
    await expect(open(bytes.subarray(0, bytes.length - 20))).rejects.toMatchObject({ code: 'OCI_ARCHIVE_INVALID' })
  })
})

describe('hostile archives', () => {
  test('a name that climbs out is refused', async () => {
    await expect(open(await tarOf([{ name: '../evil' }, 'x']))).rejects.toMatchObject({ code: 'OCI_ARCHIVE_INVALID' })
  })

  test('a link that leads out stays inside', async () => {
    const tar = await tarOf([{ name: 'out', type: 'symlink', linkname: '/etc' }], [{ name: 'out/passwd' }, 'mine'])
    const { context } = await open(tar)
    expect(paths(context)).toEqual(['etc', 'etc/passwd', 'out'])
    expect(text(context, 'out/passwd')).toBe('mine')
  })

  test('a relative link that leads out is not followed', async () => {
    const tar = await tarOf([{ name: 'up', type: 'symlink', linkname: '../../..' }], [{ name: 'up/file' }, 'here'])
    await expect(open(tar)).rejects.toMatchObject({ code: 'OCI_ARCHIVE_INVALID' })
  })

  test('what follows the end is no part of the context, above all no other Dockerfile', async () => {
    const first = await tarOf([{ name: 'Dockerfile' }, 'FROM scratch\n'])
    const second = await tarOf([{ name: 'Dockerfile' }, 'FROM other\n'], [{ name: 'more' }, 'x'])
    for (const bytes of [Buffer.concat([first, second]), Buffer.concat([gzipSync(first), gzipSync(second)])]) {
      rmSync(temporary, { recursive: true })
      mkdirSync(temporary)
      const { context } = await open(bytes)
      expect(paths(context)).toEqual(['Dockerfile'])
      expect(text(context, 'Dockerfile')).toBe('FROM scratch\n')
    }
  })

  test('bytes behind the end of the tar or of its compression are no error', async () => {
    const tar = await tarOf([{ name: 'Dockerfile' }, 'FROM scratch\n'])
    const garbage = Buffer.from('garbage'.repeat(100))
    for (const bytes of [Buffer.concat([tar, garbage]), Buffer.concat([gzipSync(tar), garbage])]) {
      rmSync(temporary, { recursive: true })
      mkdirSync(temporary)
      expect(paths((await open(bytes)).context)).toEqual(['Dockerfile'])
    }
  })

  test('directories that it does not list are made now', async () => {
    const { context } = await open(await tarOf([{ name: 'a/b/c', mtime: new Date(0) }, 'x']))
    expect(context.view.entry('a/b')?.mtimeSec).toBeGreaterThan(Date.now() / 1000 - 60)
    expect(context.view.entry('a')?.mode).toBe(0o755)
  })

  test('a hard link to nothing is refused', async () => {
    await expect(open(await tarOf([{ name: 'link', type: 'link', linkname: '/etc/passwd' }]))).rejects.toMatchObject({
      code: 'OCI_ARCHIVE_INVALID',
      message: expect.stringContaining('etc/passwd'),
    })
  })

  test('a file below a file is refused', async () => {
    await expect(open(await tarOf([{ name: 'a' }, 'x'], [{ name: 'a/b' }, 'y']))).rejects.toMatchObject({
      code: 'OCI_ARCHIVE_INVALID',
    })
  })

  test('a file replaces a directory, and the reverse', async () => {
    const { context } = await open(
      await tarOf(
        [{ name: 'a/b' }, 'x'],
        [{ name: 'a' }, 'file'],
        [{ name: 'c' }, 'x'],
        [{ name: 'c', type: 'directory' }],
      ),
    )
    expect(paths(context)).toEqual(['a', 'c'])
    expect([context.view.entry('a')?.type, context.view.entry('c')?.type]).toEqual(['file', 'directory'])
  })
})

test('text is a Dockerfile with an empty context', async () => {
  const result = await open(Buffer.from('FROM scratch\nCOPY a b\n'), 5)
  expect(result.kind).toBe('dockerfile')
  expect(result.kind === 'dockerfile' && Buffer.from(result.text).toString()).toBe('FROM scratch\nCOPY a b\n')
  expect(paths(result.context)).toEqual([])
})

test('an empty archive is an empty context, nothing at all is an error', async () => {
  expect((await open(Buffer.alloc(1024))).kind).toBe('archive')
  await expect(open(Buffer.alloc(0))).rejects.toMatchObject({ code: 'OCI_CONTEXT_INVALID' })
})

describe('a stream that never ends', () => {
  async function* endless(start: Buffer, chunk: Buffer): AsyncGenerator<Uint8Array> {
    yield start
    for (;;) yield chunk
  }
  const openEndless = (start: Buffer, chunk: Buffer): Promise<StreamContext> =>
    openStreamContext({ stream: endless(start, chunk), temporaryDirectory: temporary })

  test('is no Dockerfile', async () => {
    await expect(openEndless(Buffer.from('FROM scratch\n'), Buffer.alloc(1 << 20, 'RUN x\n'))).rejects.toMatchObject({
      code: 'OCI_CONTEXT_INVALID',
    })
  })

  test('behind the end of an archive is let go of', async () => {
    const tar = await tarOf([{ name: 'Dockerfile' }, 'FROM scratch\n'])
    const { context } = await openEndless(tar, Buffer.alloc(1 << 20))
    expect(paths(context)).toEqual(['Dockerfile'])
  })
})

test('whoever writes the archive is read to the end, so that no broken pipe makes a failure of it', async () => {
  let isReadToEnd = false
  const tar = await tarOf([{ name: 'Dockerfile' }, 'FROM scratch\n'])
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield tar
    for (let i = 0; i < 20; i++) yield Buffer.alloc(1 << 16)
    isReadToEnd = true
  }
  await openStreamContext({ stream: stream(), temporaryDirectory: temporary })
  expect(isReadToEnd).toBe(true)
})
