import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { expect, test } from '@jest/globals'
import { describeWith, temporaryDirectory } from '@ts-oci/testing'
import { closeFd, getXattr, openRoot } from '../files/index.ts'
import type { TreeStream } from './tree-types.ts'
import { startExecutor } from './start.ts'

/** What a process of an executor makes of records, in `tree` of a directory. */
async function written<T>(write: (tree: TreeStream) => void | Promise<void>, check: (tree: string) => T): Promise<T> {
  await using directory = await temporaryDirectory()
  for (const name of ['state', 'new']) mkdirSync(directory.join(name))
  await using executor = await startExecutor({ isolation: 'namespace', stateDirectory: directory.join('state') })
  {
    await using tree = executor.writeTree(directory.join('new'))
    await write(tree)
    await tree.finish()
  }
  return check(directory.join('new/tree'))
}

/** The error of records that must not be followed, once it is sure that nothing outside changed. */
async function refusal(write: (tree: TreeStream, outside: string) => void): Promise<unknown> {
  await using directory = await temporaryDirectory()
  const outside = directory.join('outside')
  for (const name of ['outside', 'state', 'new']) mkdirSync(directory.join(name))
  writeFileSync(`${outside}/file`, 'as it was', { mode: 0o644 })
  await using executor = await startExecutor({ isolation: 'namespace', stateDirectory: directory.join('state') })
  let error: unknown
  {
    await using tree = executor.writeTree(directory.join('new'))
    try {
      write(tree, outside)
      await tree.finish()
    } catch (caught) {
      error = (caught as { details?: { errno?: unknown } }).details?.errno ?? caught
    }
  }
  expect(readdirSync(outside)).toEqual(['file'])
  expect(readFileSync(`${outside}/file`, 'utf8')).toBe('as it was')
  expect(lstatSync(`${outside}/file`)).toMatchObject({ mode: 0o100644, uid: 0, nlink: 1 })
  return error
}

const plain = { mode: 0o644, mtime: { sec: 5, nsec: 0 } }

describeWith(['root'], 'the process that writes a tree', () => {
  test('writes what a layer may hold', async () => {
    await written(
      (tree) => {
        tree.makeDirectory('d')
        tree.beginFile('d/f', {
          owner: { uid: 70_000, gid: 7 },
          mode: 0o6755,
          mtime: { sec: -1, nsec: 0 },
          xattrs: new Map([['user.x', Buffer.from('y')]]),
        })
        tree.writeData(Buffer.from('con'))
        tree.writeData(Buffer.from('tent'))
        tree.endFile()
        tree.beginFile('sparse', plain)
        tree.leaveHole(1 << 20)
        tree.writeData(Buffer.from('x'))
        tree.leaveHole(1 << 20)
        tree.endFile()
        tree.makeSymlink('link', '/etc/passwd')
        tree.setAttributes('link', { owner: { uid: 3, gid: 4 }, mtime: { sec: 9, nsec: 0 } })
        tree.makeLink('hard', 'd/f')
        tree.makeNode('null', { type: 'character', major: 1, minor: 3 }, { mode: 0o666 })
        tree.makeNode('gone', { type: 'character', major: 0, minor: 0 }, { strict: true })
        tree.makeNode('fifo', { type: 'fifo', major: 0, minor: 0 }, plain)
        tree.makeDirectory('replaced')
        tree.beginFile('replaced/below', plain)
        tree.endFile()
        tree.remove('replaced')
        tree.makeSymlink('replaced', 'x')
        tree.setAttributes('d', {
          mode: 0o555,
          xattrs: new Map([['trusted.overlay.opaque', Buffer.from('y')]]),
          strict: true,
        })
      },
      (tree) => {
        expect(lstatSync(`${tree}/d/f`)).toMatchObject({
          uid: 70_000,
          gid: 7,
          mode: 0o106755,
          mtimeMs: -1000,
          nlink: 2,
        })
        expect(readFileSync(`${tree}/hard`, 'utf8')).toBe('content')
        expect(lstatSync(`${tree}/sparse`)).toMatchObject({ size: (2 << 20) + 1, mode: 0o100644, mtimeMs: 5000 })
        expect(readFileSync(`${tree}/sparse`)[1 << 20]).toBe(120)
        expect(lstatSync(`${tree}/link`)).toMatchObject({ uid: 3, gid: 4, mtimeMs: 9000 })
        expect(lstatSync(`${tree}/null`)).toMatchObject({ mode: 0o020666, rdev: 0x103 })
        expect(lstatSync(`${tree}/gone`).rdev).toBe(0)
        expect(lstatSync(`${tree}/fifo`).isFIFO()).toBe(true)
        expect(readlinkSync(`${tree}/replaced`)).toBe('x')
        expect(lstatSync(`${tree}/d`).mode).toBe(0o040555)
        const root = openRoot(tree)
        expect(getXattr(root, 'd', 'trusted.overlay.opaque')?.toString()).toBe('y')
        closeFd(root)
      },
    )
  })

  test('takes data of any size, and waits with those who read slower than they write', async () => {
    const piece = Buffer.alloc(1 << 20, 'p')
    await written(
      async (tree) => {
        tree.beginFile('large', plain)
        for (let i = 0; i < 40; i++) {
          tree.writeData(piece)
          await tree.drained()
        }
        tree.endFile()
      },
      (tree) => expect(lstatSync(`${tree}/large`).size).toBe(40 << 20),
    )
  })

  test.each<[string, (tree: TreeStream, outside: string) => void]>([
    ['a path upwards', (tree) => tree.beginFile('../../outside/new', plain)],
    ['an absolute path', (tree, outside) => tree.beginFile(`${outside}/new`, plain)],
    [
      'a link on the way',
      (tree, outside) => {
        tree.makeSymlink('t', outside)
        tree.beginFile('t/new', plain)
      },
    ],
    [
      'a link in the place of a file',
      (tree, outside) => {
        tree.makeSymlink('t', `${outside}/file`)
        tree.beginFile('t', plain)
      },
    ],
    [
      'the mode of what a link names',
      (tree, outside) => {
        tree.makeSymlink('t', `${outside}/file`)
        tree.setAttributes('t', { mode: 0o4777 })
      },
    ],
    ['a hard link to a file outside', (tree) => tree.makeLink('hard', '../../outside/file')],
    ['a removal outside', (tree) => tree.remove('../../outside/file')],
    [
      'the attributes of the directory above',
      (tree) => tree.setAttributes('..', { owner: { uid: 1, gid: 1 }, mode: 0o777 }),
    ],
  ])('does not follow %s', async (_, write) => {
    expect(await refusal(write)).toMatch(/^(EXDEV|ELOOP|EEXIST|ENOTSUP|EOPNOTSUPP|EACCES|EPERM|EROFS|EINVAL)$/)
  })

  test('has the rights that it takes and no more, and holds nothing of the executor', async () => {
    await using directory = await temporaryDirectory()
    for (const name of ['state', 'new']) mkdirSync(directory.join(name))
    await using executor = await startExecutor({ isolation: 'namespace', stateDirectory: directory.join('state') })
    await using tree = executor.writeTree(directory.join('new'))
    await untilExists(directory.join('new/tree'))
    const pid = processesThatHold(directory.join('new/tree'))[0]!
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)![1]!
    // CHOWN DAC_OVERRIDE FOWNER FSETID SYS_ADMIN MKNOD SETFCAP, by their numbers in linux/capability.h.
    const capabilities = [0, 1, 3, 4, 21, 27, 31].reduce((set, number) => set | (1n << BigInt(number)), 0n)
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(BigInt(`0x${field(set)}`)).toBe(capabilities)
    for (const set of ['CapInh', 'CapAmb']) expect(BigInt(`0x${field(set)}`)).toBe(0n)
    expect([field('NoNewPrivs'), field('Seccomp')]).toEqual(['1', '2'])
    expect(descriptorsOf(pid)).toEqual([
      directory.join('new/feed'),
      directory.join('new/tree'),
      expect.stringMatching(/^pipe:/),
    ])
    await tree.finish()
  })

  test('ends when its records end early, and leaves no tree that anybody was told of', async () => {
    await using directory = await temporaryDirectory()
    for (const name of ['state', 'new']) mkdirSync(directory.join(name))
    await using executor = await startExecutor({ isolation: 'namespace', stateDirectory: directory.join('state') })
    const tree = executor.writeTree(directory.join('new'))
    tree.makeDirectory('d')
    await tree[Symbol.asyncDispose]()
    expect(processesThatHold(directory.join('new/tree'))).toEqual([])
    await expect(tree.finish()).rejects.toMatchObject({ details: { errno: 'ECANCELED' } })
  })

  test('is named when it is killed', async () => {
    await using directory = await temporaryDirectory()
    for (const name of ['state', 'new']) mkdirSync(directory.join(name))
    await using executor = await startExecutor({ isolation: 'namespace', stateDirectory: directory.join('state') })
    await using tree = executor.writeTree(directory.join('new'))
    await untilExists(directory.join('new/tree'))
    process.kill(Number(processesThatHold(directory.join('new/tree'))[0]), 'SIGKILL')
    await expect(tree.finish()).rejects.toMatchObject({
      code: 'OCI_RUNTIME_EXECUTOR_DIED',
      message: expect.stringContaining('was killed') as unknown,
    })
  })

  test('says why it fails, whatever else the executor has open', async () => {
    await using directory = await temporaryDirectory()
    mkdirSync(directory.join('state'))
    await using executor = await startExecutor({ isolation: 'namespace', stateDirectory: directory.join('state') })
    await using others = new AsyncDisposableStack()
    const errors = new Set<unknown>()
    // Each of the others costs the executor one descriptor: one that fails comes to stand at every number around 100.
    for (let i = 0; i < 100; i++) {
      mkdirSync(directory.join(`other${i}`))
      others.use(executor.writeTree(directory.join(`other${i}`)))
      if (i < 85) continue
      mkdirSync(directory.join(`failing${i}/tree`), { recursive: true })
      await using failing = executor.writeTree(directory.join(`failing${i}`))
      await failing.finish().catch((error: unknown) => errors.add((error as Error).message))
    }
    expect([...errors]).toEqual([expect.stringContaining('EEXIST')])
  })

  test('needs a new directory', async () => {
    await using directory = await temporaryDirectory()
    for (const name of ['state', 'new', 'elsewhere']) mkdirSync(directory.join(name))
    symlinkSync(directory.join('elsewhere'), directory.join('new/tree'))
    await using executor = await startExecutor({ isolation: 'namespace', stateDirectory: directory.join('state') })
    await using tree = executor.writeTree(directory.join('new'))
    await expect(tree.finish()).rejects.toMatchObject({ details: { errno: 'EEXIST' } })
    expect(readdirSync(directory.join('elsewhere'))).toEqual([])
  })
})

async function untilExists(path: string): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!existsSync(path) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5))
}

function processesThatHold(path: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && descriptorsOf(pid).includes(path))
}

function descriptorsOf(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
      .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
      .toSorted()
  } catch {
    return []
  }
}
