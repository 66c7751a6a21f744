import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { addImage } from './store-process.test.helper.ts'
import { openStore } from './store.ts'

let place: string
let root: string
let umask: number
beforeEach(() => {
  umask = process.umask(0o022)
  place = mkdtempSync(join(tmpdir(), 'ts-oci-guard-'))
  root = join(place, 'store')
})
afterEach(() => {
  process.umask(umask)
  rmSync(place, { recursive: true, force: true })
})

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8)

async function makeStore(at = root): Promise<void> {
  await using store = await openStore({ root: at })
  addImage(store, 'one')
  store.locks.tryAcquire('held')
  store.cacheMountDirectory('cache')
}

/** Names below the root that group or others may do anything with. */
function openNames(): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (name) => (lstatSync(join(root, name)).mode & 0o077) !== 0,
  )
}

async function refused(message: RegExp, env = {}): Promise<void> {
  await expect(openStore({ root, env })).rejects.toMatchObject({
    code: 'OCI_STORE_UNUSABLE',
    message: expect.stringMatching(message),
    hint: expect.stringMatching(/./),
  })
}

describe('permissions', () => {
  test.each([0o000, 0o002, 0o022, 0o077])('with umask %o nothing of a new store is open to others', async (mask) => {
    process.umask(mask)
    await using store = await openStore({ root })
    addImage(store, 'one')
    store.cacheMountDirectory('cache')
    await store.createTemporaryDirectory('x')
    await using _lock = await store.locks.acquire('held')
    expect(readdirSync(root)).toContain('meta.sqlite-wal')
    expect(openNames()).toEqual([])
    expect(modeOf(root)).toBe('700')
  })

  test('a directory above that is made with the store is not open to writing, whatever the umask', async () => {
    process.umask(0)
    await makeStore(join(place, 'a/b/store'))
    expect([modeOf(join(place, 'a')), modeOf(join(place, 'a/b'))]).toEqual(['755', '755'])
  })

  test.each([0o755, 0o777, 0o711, 0o2775])(
    'an empty directory with mode %o is closed when it becomes a store',
    async (mode) => {
      mkdirSync(root)
      chmodSync(root, mode)
      await makeStore()
      expect(statSync(root).mode & 0o777).toBe(0o700)
      expect(openNames()).toEqual([])
    },
  )

  test('a store that was opened to reading is closed, with all that is in it', async () => {
    await makeStore()
    for (const name of readdirSync(root))
      chmodSync(join(root, name), statSync(join(root, name)).isDirectory() ? 0o755 : 0o644)
    chmodSync(join(root, 'blobs/sha256'), 0o755)
    chmodSync(root, 0o755)
    await using store = await openStore({ root })
    expect(store.images.list()).toHaveLength(1)
    expect(openNames()).toEqual([])
    expect(modeOf(root)).toBe('700')
  })

  test('what a closed store holds that was made under another umask is closed', async () => {
    await makeStore()
    for (const name of ['tmp', 'run', 'snapshots']) chmodSync(join(root, name), 0o777)
    chmodSync(join(root, 'meta.sqlite'), 0o666)
    await makeStore()
    expect(openNames()).toEqual([])
  })

  test.each([
    '',
    'tmp',
    'run',
    'snapshots',
    'blobs',
    'blobs/sha256',
    'tables',
    'cache-mounts',
    'memos',
    'meta.sqlite',
    'index.json',
  ])('a store in which others could write %p is refused, each time again', async (name) => {
    await makeStore()
    chmodSync(root, 0o755)
    chmodSync(join(root, name), 0o777)
    await refused(/others may write to .* \(mode 0777\)/)
    await refused(/others may write to .* \(mode 0777\)/)
    expect(modeOf(root)).toBe(name === '' ? '777' : '755')
  })

  test('an open directory that holds other things is left alone and refused', async () => {
    mkdirSync(root)
    writeFileSync(join(root, 'thesis.tex'), '')
    await refused(/no store, holds other files/)
    expect([modeOf(root), readdirSync(root)]).toEqual(['755', ['thesis.tex']])
  })

  test('a private directory that holds other things may hold a store, too', async () => {
    mkdirSync(root, { mode: 0o700 })
    writeFileSync(join(root, 'other'), '')
    await makeStore()
    expect(readdirSync(root)).toContain('other')
  })

  test('a store whose making was killed half-way is finished', async () => {
    mkdirSync(root)
    mkdirSync(join(root, 'blobs'))
    await makeStore()
    expect(openNames()).toEqual([])
  })
})

describe('what another put there', () => {
  test.each(['tmp', 'run', 'snapshots', 'blobs', 'blobs/sha256', 'tables', 'cache-mounts', 'memos', 'run/executor'])(
    'a link at %s is refused, and nothing is written or removed behind it',
    async (name) => {
      await makeStore()
      const victim = join(place, 'victim')
      mkdirSync(victim)
      writeFileSync(join(victim, '1-abc.1.x'), 'precious')
      rmSync(join(root, name), { recursive: true, force: true })
      symlinkSync(victim, join(root, name))
      await refused(new RegExp(`store/${name} is a symbolic link`))
      expect(readdirSync(victim)).toEqual(['1-abc.1.x'])
    },
  )

  test.each(['meta.sqlite', 'meta.sqlite-wal', 'meta.sqlite-shm', 'meta.sqlite-journal', 'index.json', 'oci-layout'])(
    'a link, a fifo, a directory and a second name at %s are refused',
    async (name) => {
      await makeStore()
      const path = join(root, name)
      const victim = join(place, 'victim')
      writeFileSync(victim, 'precious', { mode: 0o644 })
      rmSync(path, { force: true })
      symlinkSync(victim, path)
      await refused(/is a symbolic link/)
      rmSync(path)
      execFileSync('mkfifo', [path])
      await refused(/is not a file/)
      rmSync(path)
      mkdirSync(path)
      await refused(/is not a file/)
      rmSync(path, { recursive: true })
      linkSync(victim, path)
      await refused(/has 2 names/)
      expect([modeOf(victim), statSync(victim).size]).toEqual(['644', 8])
    },
  )

  test.each(['use.lock', 'owner-1-abcdef.lock'])('a link in place of the lock %s is refused', async (name) => {
    await makeStore()
    symlinkSync(join(place, 'victim'), join(root, 'run', name))
    await refused(/is not a file/)
    expect(existsSync(join(place, 'victim'))).toBe(false)
  })

  test('a link in tmp is swept, and what it names stays', async () => {
    await makeStore()
    mkdirSync(join(place, 'victim'))
    writeFileSync(join(place, 'victim/file'), '')
    symlinkSync(join(place, 'victim'), join(root, 'tmp/1-abcdef.1.x'))
    await makeStore()
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
    expect(readdirSync(join(place, 'victim'))).toEqual(['file'])
  })

  test('a link in place of a cache mount is refused, and no step writes behind it', async () => {
    await makeStore()
    await using store = await openStore({ root })
    const path = store.cacheMountDirectory('cache')
    rmSync(path, { recursive: true })
    mkdirSync(join(place, 'victim'))
    symlinkSync(join(place, 'victim'), path)
    for (const isMade of [true, false])
      expect(() => store.cacheMountDirectory('cache', isMade)).toThrow(/is a symbolic link/)
    await store.prune({ all: true })
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined()
    expect(existsSync(join(place, 'victim'))).toBe(true)
  })

  test('a link in place of a blob is no blob', async () => {
    await makeStore()
    await using store = await openStore({ root })
    const digest = store.blobs.put(Buffer.from('content'))
    const path = store.blobs.path(digest)
    renameSync(path, join(place, 'elsewhere'))
    symlinkSync(join(place, 'elsewhere'), path)
    expect(store.blobs.has(digest)).toBe(false)
    expect(() => store.blobs.read(digest)).toThrow(expect.objectContaining({ code: 'OCI_STORE_UNUSABLE' }))
  })

  test('prune removes no directory that a row of the database names elsewhere', async () => {
    await makeStore()
    const victim = join(place, 'victim')
    mkdirSync(victim)
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
    const database = new DatabaseSync(join(root, 'meta.sqlite'))
    database.prepare('UPDATE cache_mounts SET directory = ?').run(victim)
    database.close()
    await using store = await openStore({ root })
    await store.prune({ all: true })
    expect(existsSync(victim)).toBe(true)
    expect(readdirSync(join(root, 'cache-mounts'))).toEqual([])
  })
})

describe('the directories above', () => {
  test('a store below a link is used', async () => {
    mkdirSync(join(place, 'data'))
    symlinkSync('data', join(place, 'share'))
    await makeStore(join(place, 'share/store'))
    expect(existsSync(join(place, 'data/store/oci-layout'))).toBe(true)
  })

  test('a store that is itself named by a link is used', async () => {
    await makeStore()
    symlinkSync('store', join(place, 'name'))
    await using store = await openStore({ root: join(place, 'name') })
    expect(store.images.list()).toHaveLength(1)
  })

  test.each([0o777, 0o757])('a directory above with mode %o is refused', async (mode) => {
    mkdirSync(join(place, 'open'))
    chmodSync(join(place, 'open'), mode)
    root = join(place, 'open/below/store')
    await refused(/others may write to .*open, so/)
    expect(readdirSync(join(place, 'open'))).toEqual([])
    await (await openStore({ root, env: { TSBUILD_TRUST_PARENTS: '1' } })).close()
  })

  test('where a link stands counts as much as where it leads', async () => {
    mkdirSync(join(place, 'open'))
    mkdirSync(join(place, 'safe'))
    chmodSync(join(place, 'open'), 0o777)
    symlinkSync(join(place, 'safe'), join(place, 'open/link'))
    root = join(place, 'open/link/store')
    await refused(/others may write to .*open, so/)
  })

  test('a circle of links ends in an error', async () => {
    symlinkSync('b', join(place, 'a'))
    symlinkSync('a', join(place, 'b'))
    root = join(place, 'a/store')
    await refused(/cannot be made \(ELOOP\)/)
  })
})

describeWith(['root'], 'as root', () => {
  const OTHER = 65_534

  test.each(['', 'tmp', 'run', 'snapshots', 'blobs/sha256', 'meta.sqlite', 'index.json'])(
    'a store in which %p belongs to somebody else is refused',
    async (name) => {
      await makeStore()
      chownSync(join(root, name), OTHER, OTHER)
      await refused(/belongs to user 65534, not to user 0/)
    },
  )

  test('a directory above that belongs to a user is refused, also in /tmp', async () => {
    mkdirSync(join(place, 'theirs'))
    chownSync(join(place, 'theirs'), OTHER, OTHER)
    root = join(place, 'theirs/store')
    await refused(/theirs above it belongs to user 65534/)
    await (await openStore({ root, env: { TSBUILD_TRUST_PARENTS: '1' } })).close()
  })

  test('a link that somebody else made is refused', async () => {
    mkdirSync(join(place, 'sticky'))
    chmodSync(join(place, 'sticky'), 0o1777)
    execFileSync('ln', ['-s', place, join(place, 'sticky/link')])
    execFileSync('chown', ['-h', `${OTHER}:${OTHER}`, join(place, 'sticky/link')])
    root = join(place, 'sticky/link/store')
    await refused(/link above it belongs to user 65534/)
  })

  test('a directory above that a group of others may write is refused', async () => {
    mkdirSync(join(place, 'shared'))
    chownSync(join(place, 'shared'), 0, OTHER)
    chmodSync(join(place, 'shared'), 0o775)
    root = join(place, 'shared/store')
    await refused(/others may write to .*shared, so/)
  })
})
