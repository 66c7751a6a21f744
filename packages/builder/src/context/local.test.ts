import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { ContentSelector } from '../view/types.ts'
import { parseIgnoreFile } from '../patterns/ignore.ts'
import { openLocalContext, type LocalContext } from './local.ts'

let directory: string
let store: string
const opened: LocalContext[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ts-oci-context-'))
  store = mkdtempSync(join(tmpdir(), 'ts-oci-memo-'))
})

afterEach(() => {
  for (const context of opened.splice(0)) context.close()
  rmSync(directory, { recursive: true, force: true })
  rmSync(store, { recursive: true, force: true })
})

function write(path: string, content = path): void {
  mkdirSync(join(directory, dirname(path)), { recursive: true })
  writeFileSync(join(directory, path), content)
}

/** Sets a file's time to long ago, as of a context that rests. */
function rest(...paths: string[]): void {
  for (const path of paths) utimesSync(join(directory, path), 1_600_000_000, 1_600_000_000)
}

function open(ignore = '', more: { memo?: boolean } = {}): LocalContext {
  const context = openLocalContext({
    directory,
    ignorePatterns: parseIgnoreFile(ignore),
    memoPath: more.memo === true ? join(store, 'memo') : undefined,
  })
  opened.push(context)
  return context
}

function paths(context: LocalContext): string[] {
  return [...context.view.walk('')].map((entry) => entry.path)
}

function select(path: string, more: Partial<ContentSelector> = {}): ContentSelector {
  return { path, followLast: true, allowWildcard: true, includePatterns: [], excludePatterns: [], ...more }
}

/** Waits until a file written now no longer counts as just changed. */
const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 150))

describe('the view', () => {
  test('files come with their mode and time, owned by root, without attributes', () => {
    write('a/file', '12345')
    chmodSync(join(directory, 'a/file'), 0o750)
    rest('a/file')
    expect(open().view.entry('a/file')).toMatchObject({
      type: 'file',
      mode: 0o750,
      uid: 0,
      gid: 0,
      size: 5,
      mtimeSec: 1_600_000_000,
      content: { kind: 'context', root: directory, path: 'a/file', mtimeNs: '1600000000000000000' },
    })
  })

  test('entries are in byte order, a directory before its content, and no name is lost', () => {
    write('b/x')
    write('b-c')
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff])]), '')
    expect(paths(open())).toEqual(['b', 'b/x', 'b-c', '\xff'])
  })

  test('links are followed inside the context and nowhere else', () => {
    write('real/file', 'inside')
    symlinkSync('real', join(directory, 'relative'))
    symlinkSync('/real', join(directory, 'absolute'))
    symlinkSync('../../../../../../../../etc', join(directory, 'outside'))
    const { view } = open()
    expect(view.lookup('relative/file')?.path).toBe('real/file')
    expect(view.lookup('absolute/file')?.path).toBe('real/file')
    expect(view.lookup('outside/passwd')).toBeUndefined()
    expect(view.lookup('../../etc/passwd')).toBeUndefined()
    expect(view.entry('outside')).toMatchObject({ type: 'symlink', link: '../../../../../../../../etc' })
    expect(view.lookup('relative', { followLast: false })?.type).toBe('symlink')
  })

  test('a directory that is left out is not there, whatever name leads to it', () => {
    write('project/.cache/store/blob')
    write('project/file')
    symlinkSync(join(directory, 'project'), join(directory, 'link'))
    const context = openLocalContext({
      directory: join(directory, 'project'),
      leftOut: join(directory, 'link/.cache/store'),
    })
    opened.push(context)
    expect(paths(context)).toEqual(['.cache', 'file'])
    expect(context.view.lookup('.cache/store/blob')).toBeUndefined()
  })

  test('names of one file share a link key', () => {
    write('one')
    write('alone')
    linkSync(join(directory, 'one'), join(directory, 'two'))
    const { view } = open()
    expect(view.entry('one')?.linkKey).toBeDefined()
    expect(view.entry('two')?.linkKey).toBe(view.entry('one')?.linkKey)
    expect(view.entry('alone')?.linkKey).toBeUndefined()
  })

  test('a socket is an empty file', async () => {
    const server = createServer()
    await new Promise<void>((done) => server.listen(join(directory, 'socket'), done))
    write('file')
    const context = open()
    expect(paths(context)).toEqual(['file', 'socket'])
    expect(context.view.entry('socket')).toMatchObject({ type: 'file', size: 0 })
    await new Promise((done) => server.close(done))
  })

  test('only directories that somebody looks into are read', () => {
    for (let i = 0; i < 100; i++) write(`big/${i}`)
    write('src/main.js')
    const context = open()
    expect(context.view.lookup('src/main.js')?.size).toBe('src/main.js'.length)
    expect(context.statistics().entries).toBe(3)
  })
})

describe('ignored paths', () => {
  beforeEach(() => {
    write('node_modules/a/index.js')
    write('node_modules/keep/me.js')
    write('src/main.js')
    write('src/main.log')
    write('README.md')
  })

  test('an ignored directory is not entered', () => {
    const context = open('node_modules\n**/*.log\n')
    expect(paths(context)).toEqual(['README.md', 'src', 'src/main.js'])
    expect(context.statistics().entries).toBe(5)
  })

  test('what an exception keeps comes with its directories, and nothing beside it', () => {
    expect(paths(open('*\n!node_modules/keep/me.js\n'))).toEqual([
      'node_modules',
      'node_modules/keep',
      'node_modules/keep/me.js',
    ])
  })

  test('an excluded directory in which nothing is kept is not there', () => {
    expect(paths(open('*\n!**/none\n'))).toEqual([])
  })

  test('only what is included is there when patterns say so', () => {
    const context = openLocalContext({
      directory,
      includePatterns: ['src', 'node_modules/keep'],
      ignorePatterns: ['**/*.log'],
    })
    opened.push(context)
    expect(paths(context)).toEqual([
      'node_modules',
      'node_modules/keep',
      'node_modules/keep/me.js',
      'src',
      'src/main.js',
    ])
  })
})

describe('content digests', () => {
  beforeEach(() => {
    write('src/a.js', 'a')
    write('src/lib/b.js', 'b')
    write('c.txt', 'c')
  })

  test('times do not count', async () => {
    const before = await open().digestPaths([select('/')])
    rest('src/a.js', 'src/lib', 'c.txt')
    expect(await open().digestPaths([select('/')])).toBe(before)
  })

  test('the name of what is chosen does not count, names below it do', async () => {
    const before = await open().digestPaths([select('src')])
    renameSync(join(directory, 'src'), join(directory, 'moved'))
    expect(await open().digestPaths([select('moved')])).toBe(before)
    renameSync(join(directory, 'moved/a.js'), join(directory, 'moved/z.js'))
    expect(await open().digestPaths([select('moved')])).not.toBe(before)
  })

  test('content, mode, type, links and names count', async () => {
    const seen = new Set<string>()
    const changes: (() => void)[] = [
      () => undefined,
      () => writeFileSync(join(directory, 'src/a.js'), 'A'),
      () => chmodSync(join(directory, 'src/a.js'), 0o700),
      () => symlinkSync('a.js', join(directory, 'src/link')),
      () => {
        rmSync(join(directory, 'src/link'))
        symlinkSync('b.js', join(directory, 'src/link'))
      },
      () => linkSync(join(directory, 'src/a.js'), join(directory, 'src/same')),
      () => {
        rmSync(join(directory, 'src/same'))
        writeFileSync(join(directory, 'src/same'), 'A', { mode: 0o700 })
      },
      () => mkdirSync(join(directory, 'src/empty')),
      () => chmodSync(join(directory, 'src'), 0o700),
    ]
    for (const change of changes) {
      change()
      seen.add(await open().digestPaths([select('src')]))
    }
    expect(seen.size).toBe(changes.length)
  })

  test('what lies beside the selection does not count', async () => {
    const before = await open().digestPaths([select('src')])
    write('c.txt', 'other')
    expect(await open().digestPaths([select('src')])).toBe(before)
  })

  test('a wildcard chooses by name, and finding nothing is an answer', async () => {
    write('d.txt', 'd')
    const both = await open().digestPaths([select('*.txt')])
    expect(await open().digestPaths([select('[cd].txt')])).toBe(both)
    expect(await open().digestPaths([select('c*')])).not.toBe(both)
    const none = await open().digestPaths([select('*.none')])
    expect(none).toMatch(/^sha256:/)
    await expect(open().digestPaths([select('[')])).rejects.toMatchObject({ code: 'OCI_COPY_INVALID' })
  })

  test('excluded files do not count, and a directory that they leave empty stays', async () => {
    const patterns = { excludePatterns: ['**/*.js'] }
    const before = await open().digestPaths([select('src', patterns)])
    writeFileSync(join(directory, 'src/lib/b.js'), 'changed')
    expect(await open().digestPaths([select('src', patterns)])).toBe(before)
    rmSync(join(directory, 'src/lib'), { recursive: true })
    expect(await open().digestPaths([select('src', patterns)])).not.toBe(before)
  })

  test('a link that is named is followed, one inside is not', async () => {
    symlinkSync('src', join(directory, 'link'))
    expect(await open().digestPaths([select('link')])).toBe(await open().digestPaths([select('src')]))
  })

  test('a link to nowhere is told as that: its own name is right', async () => {
    symlinkSync('gone', join(directory, 'broken'))
    await expect(open().digestPaths([select('broken')])).rejects.toMatchObject({
      message: 'failed to calculate checksum: "/broken": not found',
      hint: 'it is a link to "gone": nothing is there, and none leads outside',
    })
  })

  test('a missing source is told, and an ignored one is told as that', async () => {
    await expect(open().digestPaths([select('none')])).rejects.toMatchObject({
      code: 'OCI_COPY_SOURCE_NOT_FOUND',
      message: 'failed to calculate checksum: "/none": not found',
    })
    await expect(open('c.txt').digestPaths([select('./c.txt')])).rejects.toMatchObject({
      code: 'OCI_COPY_SOURCE_NOT_FOUND',
      hint: expect.stringContaining('.dockerignore'),
    })
    await expect(open().digestPaths([select('../c.txt')])).resolves.toMatch(/^sha256:/)
  })
})

describe('the memo', () => {
  beforeEach(async () => {
    for (let i = 0; i < 50; i++) write(`d${i % 5}/file${i}`, `content ${i}`)
    await settle()
  })

  test('a second build reads no file', async () => {
    const first = open('', { memo: true })
    const digest = await first.digestPaths([select('/')])
    expect(first.statistics().hashedFiles).toBe(50)
    const second = open('', { memo: true })
    expect(await second.digestPaths([select('/')])).toBe(digest)
    expect(second.statistics().hashedFiles).toBe(0)
  })

  test('only what changed is read again, wherever it is in the order', async () => {
    await open('', { memo: true }).digestPaths([select('/')])
    write('d2/file7', 'CONTENT 7')
    write('d0/first', 'new')
    rmSync(join(directory, 'd1/file1'))
    await settle()
    const context = open('', { memo: true })
    const digest = await context.digestPaths([select('/')])
    expect(context.statistics().hashedFiles).toBe(2)
    expect(await open().digestPaths([select('/')])).toBe(digest)
  })

  test('a file that was touched only now is read again the next time', async () => {
    write('d0/file0', 'fresh')
    await open('', { memo: true }).digestPaths([select('/')])
    // Same size, and on a coarse clock the same time too.
    const context = open('', { memo: true })
    await context.digestPaths([select('/')])
    expect(context.statistics().hashedFiles).toBe(1)
  })

  test('builds that read different parts of one context do not push each other out', async () => {
    await open('', { memo: true }).digestPaths([select('d0')])
    await open('', { memo: true }).digestPaths([select('d1')])
    const context = open('', { memo: true })
    await context.digestPaths([select('d1'), select('d0')])
    expect(context.statistics().hashedFiles).toBe(0)
  })

  test('what a process of the same number in another container is writing is left alone', async () => {
    const theirs = join(store, `memo.${process.pid}.tmp`)
    writeFileSync(theirs, 'half')
    await open('', { memo: true }).digestPaths([select('/')])
    expect(readFileSync(theirs, 'utf8')).toBe('half')
    expect(readdirSync(store).sort()).toEqual(['memo', `memo.${process.pid}.tmp`])
  })

  test('a damaged memo is no memo', async () => {
    const digest = await open('', { memo: true }).digestPaths([select('/')])
    for (const damage of [
      (bytes: Buffer) => bytes.subarray(0, 100),
      (bytes: Buffer) => Buffer.alloc(bytes.length),
      (bytes: Buffer) => bytes.fill(7, 90, 91),
      () => Buffer.alloc(0),
    ]) {
      writeFileSync(join(store, 'memo'), damage(readFileSync(join(store, 'memo'))))
      const context = open('', { memo: true })
      expect(await context.digestPaths([select('/')])).toBe(digest)
      expect(context.statistics().hashedFiles).toBe(50)
    }
    expect(readdirSync(store)).toEqual(['memo'])
  })
})

describe('a context that changes', () => {
  const large = 'x'.repeat(3_000_000)
  const replaceByLink = (path: string): void => {
    rmSync(path)
    symlinkSync('/etc/passwd', path)
  }
  test.each<[string, string, (path: string) => void]>([
    ['grew', 'x', (path) => writeFileSync(path, 'xyz')],
    ['was emptied', 'x', (path) => writeFileSync(path, '')],
    ['was removed', 'x', (path) => rmSync(path)],
    ['was replaced by a link', 'x', replaceByLink],
    ['is large and shrank', large, (path) => truncateSync(path, 2_000_000)],
    ['is large and was replaced by a link', large, replaceByLink],
    ['has the same size and another time', 'x', (path) => utimesSync(path, 1, 1)],
  ])('a file that %s since it was listed is named', async (_how, content, change) => {
    write('file', content)
    const context = open()
    context.view.entry('file')
    change(join(directory, 'file'))
    await expect(context.digestPaths([select('file')])).rejects.toMatchObject({
      code: 'OCI_CONTEXT_CHANGED',
      message: '"file" changed while it was read',
    })
  })

  test('a directory that a link replaced is not entered', () => {
    write('dir/file')
    const context = open()
    context.view.entry('dir')
    rmSync(join(directory, 'dir'), { recursive: true })
    symlinkSync('/etc', join(directory, 'dir'))
    expect(() => context.view.children('dir')).toThrow(expect.objectContaining({ code: 'OCI_CONTEXT_CHANGED' }))
  })

  test('a large file is hashed in pieces to the same digest', async () => {
    write('big', 'y'.repeat(3_000_000))
    const digest = await open().digestPaths([select('big')])
    write('big', `${'y'.repeat(2_999_999)}z`)
    expect(await open().digestPaths([select('big')])).not.toBe(digest)
    write('big', 'y'.repeat(3_000_000))
    expect(await open().digestPaths([select('big')])).toBe(digest)
  })
})

test('a context that is missing or no directory is told', () => {
  write('file')
  expect(() => openLocalContext({ directory: join(directory, 'none') })).toThrow(
    expect.objectContaining({ code: 'OCI_CONTEXT_NOT_FOUND', message: expect.stringContaining('not found') }),
  )
  expect(() => openLocalContext({ directory: join(directory, 'file') })).toThrow(
    expect.objectContaining({ code: 'OCI_CONTEXT_INVALID' }),
  )
})
