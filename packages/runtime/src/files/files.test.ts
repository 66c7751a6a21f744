import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import * as files from './index.ts'

const { OpenFlags } = files
let root: string
let fd: number

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ts-oci-files-'))
  fd = files.openRoot(root)
})

afterEach(() => {
  files.closeFd(fd)
  rmSync(root, { recursive: true, force: true })
})

/** The errno name of the error that a call throws. */
function errnoOfCall(call: () => unknown): string | undefined {
  try {
    call()
  } catch (error) {
    return files.errnoOf(error)
  }
  return 'nothing was thrown'
}

function write(name: string, content: string): void {
  const file = files.openAt(fd, name, OpenFlags.write | OpenFlags.create | OpenFlags.exclusive, 0o644)
  files.writeFully(file, Buffer.from(content, 'latin1'))
  files.closeFd(file)
}

function read(name: string): string {
  const target = Buffer.alloc(1 << 16)
  const result = files.readFileInto(fd, name, target, 0, target.length)
  return target.toString('latin1', 0, result?.bytesRead)
}

describe('names', () => {
  const hostile = [
    'caf\xe9',
    '\xff\xfe',
    'two\nlines',
    'tab\there',
    'x'.repeat(255),
    '\\back',
    ' ',
    '\x80',
    '...',
    'é'.normalize('NFD').slice(0, 1),
  ]

  test('names of any bytes are made, listed in byte order and removed', () => {
    for (const name of hostile) write(name, name)
    const expected = hostile.toSorted((a, b) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')))
    expect(files.readDirectory(fd).map((entry) => entry.name)).toEqual(expected)
    for (const name of hostile) expect(read(name)).toBe(name)
    for (const name of hostile) files.unlinkAt(fd, name)
    expect(files.readDirectory(fd)).toEqual([])
  })

  test('a name that is not UTF-8 reaches the disk byte for byte', () => {
    write('\xff', 'data')
    expect(readFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff])]), 'utf8')).toBe('data')
  })

  test('a name that is no single component is refused before the kernel sees it', () => {
    for (const name of ['', '..', 'a/b', '/etc', 'nul\0nul']) {
      expect(errnoOfCall(() => files.mkdirAt(fd, name))).toBe('EINVAL')
      expect(errnoOfCall(() => files.openAt(fd, name, OpenFlags.read))).toBe('EINVAL')
    }
  })

  test('chars above 255 are refused, since their low bytes could spell a slash or dots', () => {
    expect(errnoOfCall(() => files.mkdirAt(fd, '\u012e\u012e'))).toBe('EINVAL')
    expect(errnoOfCall(() => files.openResolved(fd, '\u012e\u012e\u012fetc', OpenFlags.path, 'beneath'))).toBe('EINVAL')
  })

  test('a name over 255 bytes is refused and never cut', () => {
    expect(errnoOfCall(() => files.mkdirAt(fd, 'x'.repeat(256)))).toBe('ENAMETOOLONG')
    expect(errnoOfCall(() => files.openResolved(fd, 'x/'.repeat(3000), OpenFlags.read, 'beneath'))).toBe('ENAMETOOLONG')
  })

  test('an error says what failed on which name, readable and in fields', () => {
    expect(() => files.openAt(fd, 'caf\xc3\xa9\n', OpenFlags.read)).toThrow(
      expect.objectContaining({
        code: 'OCI_RUNTIME_FILES',
        message: 'open "café\\n": no such file or directory (ENOENT)',
        details: { errno: 'ENOENT', syscall: 'open', path: 'caf\xc3\xa9\n' },
      }),
    )
  })
})

describe('resolution', () => {
  beforeEach(() => {
    mkdirSync(join(root, 'etc'))
    writeFileSync(join(root, 'etc/passwd'), 'inside')
    symlinkSync('/etc/passwd', join(root, 'absolute'))
    symlinkSync('../../../../etc/passwd', join(root, 'dots'))
    symlinkSync('/proc/self/fd', join(root, 'magic'))
    symlinkSync('loop', join(root, 'loop'))
  })

  test('in-root follows absolute and climbing links as chroot would', () => {
    for (const path of ['absolute', 'dots', '/etc/passwd', '../../etc/passwd']) {
      const file = files.openResolved(fd, path, OpenFlags.read, 'in-root')
      const target = Buffer.alloc(16)
      expect(target.toString('latin1', 0, readSync(file, target))).toBe('inside')
      files.closeFd(file)
    }
  })

  test('beneath follows no link and does not climb', () => {
    expect(errnoOfCall(() => files.openResolved(fd, 'absolute', OpenFlags.read, 'beneath'))).toBe('ELOOP')
    expect(errnoOfCall(() => files.openResolved(fd, 'dots', OpenFlags.read, 'beneath'))).toBe('ELOOP')
    expect(errnoOfCall(() => files.openResolved(fd, '../x', OpenFlags.read, 'beneath'))).toBe('EXDEV')
    expect(errnoOfCall(() => files.openResolved(fd, '/etc/passwd', OpenFlags.read, 'beneath'))).toBe('EXDEV')
  })

  test('a magic link is never followed', () => {
    mkdirSync(join(root, 'proc'))
    const proc = files.openRoot('/proc')
    expect(errnoOfCall(() => files.openResolved(proc, 'self/exe', OpenFlags.read, 'in-root'))).toBe('ELOOP')
    expect(errnoOfCall(() => files.openResolved(proc, 'self/root/etc/passwd', OpenFlags.read, 'in-root'))).toBe('ELOOP')
    files.closeFd(proc)
  })

  test('a loop of links is ELOOP, a missing path is undefined', () => {
    expect(errnoOfCall(() => files.openResolved(fd, 'loop', OpenFlags.read, 'in-root'))).toBe('ELOOP')
    expect(files.openResolvedIfPresent(fd, 'etc/passwd/below', OpenFlags.read, 'in-root')).toBeUndefined()
    expect(files.statResolved(fd, 'no/such', 'beneath')).toBeUndefined()
    expect(files.statAtIfPresent(fd, 'no')).toBeUndefined()
    expect(files.openAtIfPresent(fd, 'no', OpenFlags.read)).toBeUndefined()
  })

  test('the status of a path is that of the link, or of its target when asked', () => {
    expect(files.statResolved(fd, 'absolute', 'in-root')?.type).toBe('symlink')
    expect(files.statResolved(fd, 'absolute', 'in-root', true)).toMatchObject({ type: 'file', size: 6 })
    expect(files.statResolved(fd, '', 'beneath')?.type).toBe('directory')
  })

  test('a link that took the place of a file or a directory is not followed', () => {
    write('victim', 'outside')
    symlinkSync('victim', join(root, 'file'))
    symlinkSync('etc', join(root, 'directory'))
    expect(errnoOfCall(() => files.openAt(fd, 'file', OpenFlags.write | OpenFlags.truncate))).toBe('ELOOP')
    expect(errnoOfCall(() => files.openAt(fd, 'directory', OpenFlags.read | OpenFlags.directory))).toBe('ENOTDIR')
    expect(errnoOfCall(() => files.readFileInto(fd, 'directory/passwd', Buffer.alloc(8), 0, 8))).toBe('ELOOP')
    expect(errnoOfCall(() => files.chmodAt(fd, 'file', 0o777))).toBe('ENOTSUP')
    files.utimensAt(fd, 'file', { sec: 1, nsec: 2 }, { sec: 3, nsec: 4 })
    expect(files.statAt(fd, 'file')).toMatchObject({ mtimeSec: 3, mtimeNsec: 4 })
    expect(files.statAt(fd, 'victim').mtimeSec).toBeGreaterThan(1000)
    expect(errnoOfCall(() => files.mkdirAtIfMissing(fd, 'directory'))).toBe('EEXIST')
    files.removeTree(fd, 'directory')
    expect(read('etc/passwd')).toBe('inside')
  })
})

describe('status and change', () => {
  test('mode, times before 1970 and nanoseconds come back as they were set', () => {
    write('file', 'x')
    files.chmodAt(fd, 'file', 0o4751)
    files.utimensAt(fd, 'file', { sec: 0, nsec: 0 }, { sec: -2, nsec: 123_456_789 })
    expect(files.statAt(fd, 'file')).toMatchObject({
      type: 'file',
      mode: 0o4751,
      mtimeSec: -2,
      mtimeNsec: 123_456_789,
      size: 1,
      nlink: 1,
    })
  })

  test('every type is told apart', () => {
    write('file', '')
    files.mkdirAt(fd, 'directory')
    files.symlinkAt('to\xff', fd, 'symlink')
    files.mknodAt(fd, 'fifo', 'fifo', 0o600)
    files.mknodAt(fd, 'socket', 'socket', 0o600)
    files.mknodAt(fd, 'whiteout', 'character', 0)
    expect(files.readDirectory(fd)).toEqual(
      ['directory', 'fifo', 'file', 'socket', 'symlink', 'whiteout'].map((name) => ({
        name,
        type: name === 'whiteout' ? 'character' : name,
      })),
    )
    expect(files.statAt(fd, 'whiteout')).toMatchObject({ type: 'character', rdevMajor: 0, rdevMinor: 0 })
    expect(files.readlinkAt(fd, 'symlink')).toBe('to\xff')
  })

  test('a hard link is the same inode, a file without a name can be given one', () => {
    write('one', 'data')
    files.linkAt(fd, 'one', fd, 'two')
    expect(files.statAt(fd, 'two')).toEqual(files.statAt(fd, 'one'))
    expect(files.statAt(fd, 'two').nlink).toBe(2)
    const temporary = files.openTemporary(fd)
    files.writeFully(temporary, Buffer.from('late'))
    files.linkFd(temporary, fd, 'three')
    files.closeFd(temporary)
    expect(read('three')).toBe('late')
    expect(errnoOfCall(() => files.linkAt(fd, 'one', fd, 'three'))).toBe('EEXIST')
  })

  test('a rename replaces unless told not to', () => {
    write('a', 'a')
    write('b', 'b')
    expect(errnoOfCall(() => files.renameAt(fd, 'a', fd, 'b', { noReplace: true }))).toBe('EEXIST')
    files.renameAt(fd, 'a', fd, 'b')
    expect(read('b')).toBe('a')
  })

  test('a directory is made once', () => {
    expect(files.mkdirAtIfMissing(fd, 'd')).toBe(true)
    expect(files.mkdirAtIfMissing(fd, 'd')).toBe(false)
    expect(errnoOfCall(() => files.rmdirAt(fd, 'none'))).toBe('ENOENT')
    files.rmdirAt(fd, 'd')
    expect(files.statAtIfPresent(fd, 'd')).toBeUndefined()
  })

  test('the calls work on the descriptor itself when the name is empty', () => {
    write('file', 'x')
    const file = files.openAt(fd, 'file', OpenFlags.readWrite)
    files.chmodAt(file, '', 0o711)
    files.utimensAt(file, '', { sec: 1, nsec: 1 }, { sec: 5, nsec: 6 })
    expect(files.statFd(file)).toMatchObject({ mode: 0o711, mtimeSec: 5, mtimeNsec: 6 })
    files.closeFd(file)
  })
})

describe('content', () => {
  test('a file is read whole with its status; growth shows as one byte too many', () => {
    write('file', 'abcdef')
    const target = Buffer.alloc(10, '.')
    expect(files.readFileInto(fd, 'file', target, 2, 7)).toMatchObject({ bytesRead: 6, stat: { size: 6 } })
    expect(target.toString()).toBe('..abcdef..')
    expect(files.readFileInto(fd, 'file', target, 0, 3)?.bytesRead).toBe(3)
    expect(files.readFileInto(fd, 'none', target, 0, 3)).toBeUndefined()
    expect(errnoOfCall(() => files.readFileInto(fd, 'file', target, 8, 3))).toBe('EINVAL')
  })

  test('a fifo is refused and does not hold the reader', () => {
    files.mknodAt(fd, 'fifo', 'fifo', 0o600)
    expect(errnoOfCall(() => files.readFileInto(fd, 'fifo', Buffer.alloc(8), 0, 8))).toBe('EINVAL')
  })

  test('a range is copied, and the end of the source is told', () => {
    write('from', '0123456789')
    const from = files.openAt(fd, 'from', OpenFlags.read)
    const to = files.openAt(fd, 'to', OpenFlags.readWrite | OpenFlags.create)
    expect(files.copyRange(from, 2, to, 1, 5)).toBe(5)
    expect(read('to')).toBe('\x0023456')
    expect(files.copyRange(from, 8, to, 0, 100)).toBe(2)
    expect(files.copyContent(from, to, 10)).toBe(10)
    expect(read('to')).toBe('0123456789')
    files.closeFd(from)
    files.closeFd(to)
  })

  test('what the kernel cannot copy is copied by hand', () => {
    const proc = files.openRoot('/proc/self')
    const from = files.openAt(proc, 'status', OpenFlags.read)
    const to = files.openAt(fd, 'to', OpenFlags.readWrite | OpenFlags.create)
    expect(files.copyRange(from, 0, to, 0, 5)).toBe(5)
    expect(read('to')).toBe('Name:')
    for (const each of [proc, from, to]) files.closeFd(each)
  })

  test('a lock is refused to a second open file and given after the first lets go', () => {
    const first = files.openAt(fd, 'lock', OpenFlags.readWrite | OpenFlags.create)
    const second = files.openAt(fd, 'lock', OpenFlags.readWrite)
    expect(files.flockFd(first, 'shared')).toBe(true)
    expect(files.flockFd(second, 'shared')).toBe(true)
    expect(files.flockFd(second, 'exclusive')).toBe(false)
    files.flockFd(first, 'unlock')
    expect(files.flockFd(second, 'exclusive', { wait: true })).toBe(true)
    files.fsyncFd(first)
    files.syncFileSystem(fd)
    files.closeFd(first)
    files.closeFd(second)
  })
})

describe('extended attributes', () => {
  const value = Buffer.from([0, 255, 10, 128])

  test('values of any bytes are set, listed, read and removed', () => {
    write('file', '')
    files.setXattr(fd, 'file', 'user.b', value)
    files.setXattr(fd, 'file', 'user.a', Buffer.alloc(0))
    const mine = files.listXattrs(fd, 'file').filter((name) => name.startsWith('user.'))
    expect(mine).toEqual(['user.a', 'user.b'])
    expect(files.getXattr(fd, 'file', 'user.b')).toEqual(value)
    expect(files.getXattrs(fd, 'file').get('user.a')).toEqual(Buffer.alloc(0))
    files.removeXattr(fd, 'file', 'user.b')
    files.removeXattr(fd, 'file', 'user.b')
    expect(files.getXattr(fd, 'file', 'user.b')).toBeUndefined()
  })

  test('those of the target are not seen and not set through a symlink', () => {
    write('file', '')
    files.setXattr(fd, 'file', 'user.a', value)
    symlinkSync('file', join(root, 'link'))
    expect(files.getXattr(fd, 'link', 'user.a')).toBeUndefined()
    expect(errnoOfCall(() => files.setXattr(fd, 'link', 'user.b', value))).toBe('EPERM')
    expect(files.getXattr(fd, 'file', 'user.b')).toBeUndefined()
  })

  test('a descriptor of the file itself will do', () => {
    write('file', '')
    const handle = files.openAt(fd, 'file', OpenFlags.path)
    files.setXattr(handle, '', 'user.a', value)
    expect(files.getXattr(handle, '', 'user.a')).toEqual(value)
    files.closeFd(handle)
  })
})

describe('walks', () => {
  test('a tree is walked as find and sort by bytes see it', () => {
    for (const path of ['b/c/d', 'b/a', 'b.d/x', 'b-/y']) {
      mkdirSync(join(root, path, '..'), { recursive: true })
      writeFileSync(join(root, path), path)
    }
    const entries = files.walkTree(fd)
    const paths = Array.from({ length: entries.length }, (_, index) => entries.path(index))
    // Depth-first: what is in `b` comes before `b-`, although `b-` < `b/` as strings.
    expect(paths).toEqual(['b', 'b/a', 'b/c', 'b/c/d', 'b-', 'b-/y', 'b.d', 'b.d/x'])
    expect(entries.end(0)).toBe(4)
    expect(entries.parent(3)).toBe(2)
    expect(entries.stat(3)).toMatchObject({
      type: 'file',
      size: 5,
      ino: statSync(join(root, 'b/c/d'), { bigint: true }).ino,
    })
  })

  test('links and attributes come along when they are asked for', () => {
    write('file', '')
    files.symlinkAt('some/where\xff', fd, 'link')
    files.setXattr(fd, 'file', 'user.a', Buffer.from('1'))
    const rich = files.readDirectoryWithStats(fd, { xattrs: true, links: true })
    expect([rich.hasXattrs(0), rich.hasXattrs(1)]).toEqual([true, false])
    expect([rich.link(0), rich.link(1)]).toEqual([undefined, 'some/where\xff'])
    expect([rich.name(0), rich.name(1)]).toEqual(['file', 'link'])
    const plain = files.readDirectoryWithStats(fd)
    expect([plain.hasXattrs(0), plain.link(1)]).toEqual([false, undefined])
  })

  test('an empty directory is an empty walk, a handle without read access will do', () => {
    const handle = files.openResolved(fd, '', OpenFlags.path, 'beneath')
    expect(files.walkTree(handle).length).toBe(0)
    files.closeFd(handle)
  })

  test('a tree deeper than descriptors and any path reach is walked and removed', () => {
    const depth = 3000
    execFileSync(process.execPath, [
      '-e',
      `process.chdir(${JSON.stringify(root)}); for (let i = 0; i < ${depth}; i++) { fs.mkdirSync('d'); fs.writeFileSync('e', ''); process.chdir('d') }`,
    ])
    const entries = files.walkTree(fd)
    expect(entries.length).toBe(2 * depth)
    expect(entries.name(depth - 1)).toBe('d')
    expect(entries.name(depth)).toBe('e')
    expect(entries.end(0)).toBe(2 * depth - 1)
    files.removeTree(fd, 'd')
    expect(files.readDirectory(fd).map((entry) => entry.name)).toEqual(['e'])
  })

  test('a failure names the entry', () => {
    const file = files.openAt(fd, 'file', OpenFlags.write | OpenFlags.create)
    expect(errnoOfCall(() => files.walkTree(file))).toBe('ENOTDIR')
    files.closeFd(file)
  })
})

describe('removal', () => {
  test('a tree with closed directories goes, as an ordinary user too', () => {
    const script = `mkdir -p t/a/b t/c && touch t/a/b/f t/c/g && chmod 000 t/a/b && chmod 500 t/c && chmod 100 t/a`
    execFileSync('sh', ['-c', script], { cwd: root })
    chmodSync(root, 0o777)
    if (process.geteuid?.() !== 0) {
      files.removeTree(fd, 't')
    } else {
      execFileSync('chown', ['-R', '65534:65534', join(root, 't')])
      // The child drops its rights: root passes every mode.
      process.setegid?.(65534)
      process.seteuid?.(65534)
      try {
        files.removeTree(fd, 't')
      } finally {
        process.seteuid?.(0)
        process.setegid?.(0)
      }
    }
    expect(existsSync(join(root, 't'))).toBe(false)
  })

  test('a link to a directory goes, its target stays', () => {
    mkdirSync(join(root, 'keep'))
    writeFileSync(join(root, 'keep/file'), 'x')
    mkdirSync(join(root, 'tree/below'), { recursive: true })
    symlinkSync(join(root, 'keep'), join(root, 'tree/below/link'))
    files.removeTree(fd, 'tree')
    files.removeTree(fd, 'tree')
    expect(existsSync(join(root, 'keep/file'))).toBe(true)
    expect(existsSync(join(root, 'tree'))).toBe(false)
  })
})

test('cached directories stay open in use and are closed at the end', () => {
  for (const name of ['a', 'b', 'c']) mkdirSync(join(root, name, 'd'), { recursive: true })
  const before = files.readDirectory(files.openRoot('/proc/self/fd')).length
  using cache = files.createDirectoryCache(fd, 'beneath', 2)
  const first = cache.directory('a/d')
  cache.directory('b/d')
  expect(cache.directory('a/d')).toBe(first)
  const { fd: parent, name } = cache.parent('c/d/file')
  expect([cache.directory('a/d'), name]).toEqual([first, 'file'])
  files.mkdirAt(parent, name)
  expect(existsSync(join(root, 'c/d/file'))).toBe(true)
  expect(cache.parent('top')).toEqual({ fd, name: 'top' })
  cache.close()
  expect(files.readDirectory(files.openRoot('/proc/self/fd')).length).toBe(before + 1)
})
