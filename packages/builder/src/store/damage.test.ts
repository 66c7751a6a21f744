import { copyFileSync, existsSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { checkTool, mountSmallDisk, temporaryDirectory, testWith, type TemporaryDirectory } from '@ts-oci/testing'
import type { Digest } from '../oci/digest.ts'
import { validateLayout } from '../oci/validate.test.helper.ts'
import { addImage, layer } from './store-rows.test.helper.ts'
import { openStore } from './store.ts'
import type { Store } from './types.ts'

const NAME = 'docker.io/library/one:latest'

let directory: TemporaryDirectory
let root: string
beforeEach(async () => {
  directory = await temporaryDirectory('ts-oci-damage-')
  root = directory.join('store')
})
afterEach(async () => {
  await directory[Symbol.asyncDispose]()
})

const path = (name: string): string => join(root, name)
const open = (at = root): Promise<Store> => openStore({ root: at })

async function makeStore(at = root, name = NAME): Promise<void> {
  await using store = await open(at)
  addImage(store, name, name)
}

async function imageNames(): Promise<readonly string[]> {
  await using store = await open()
  const problems = await validateLayout(root)
  return [...store.images.list().map((image) => image.name), ...problems.map(({ message }) => message)]
}

/** What the hint of a damaged database says. */
function removeDatabase(): void {
  for (const name of readdirSync(root)) if (name.startsWith('meta.sqlite')) rmSync(path(name))
}

describe('meta.sqlite', () => {
  test('a database that was removed gets its images from index.json', async () => {
    await makeStore()
    removeDatabase()
    expect(await imageNames()).toEqual([NAME])
    expect(await imageNames()).toEqual([NAME])
  })

  test('one that is empty, too', async () => {
    await makeStore()
    truncateSync(path('meta.sqlite'))
    expect(await imageNames()).toEqual([NAME])
  })

  test.each([
    ['cut off', (file: string) => truncateSync(file, 5000)],
    ['other bytes', (file: string) => writeFileSync(file, Buffer.alloc(20_000, 'x'))],
    ['zeros in its middle', (file: string) => writeFileSync(file, blank(readFileSync(file), 4096))],
  ])('one that is %s is told apart, and what the hint says brings the images back', async (_what, damage) => {
    await makeStore()
    damage(path('meta.sqlite'))
    await expect(imageNames()).rejects.toMatchObject({
      code: 'OCI_STORE_UNUSABLE',
      message: expect.stringContaining('meta.sqlite is damaged'),
      hint: expect.stringMatching(/remove .*meta\.sqlite, meta\.sqlite-wal and meta\.sqlite-shm/),
    })
    removeDatabase()
    expect(await imageNames()).toEqual([NAME])
  })

  test('one that belongs to another program is told apart', async () => {
    await makeStore()
    removeDatabase()
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
    const database = new DatabaseSync(path('meta.sqlite'))
    database.exec('CREATE TABLE recipes (name TEXT); PRAGMA user_version = 3')
    database.close()
    await expect(imageNames()).rejects.toMatchObject({
      code: 'OCI_STORE_UNUSABLE',
      message: expect.stringContaining('meta.sqlite is damaged'),
    })
  })

  test('the log of another store makes an error, or nothing', async () => {
    await makeStore()
    const other = directory.join('other')
    await makeStore(other, 'docker.io/library/other:latest')
    {
      // A log that nobody has checkpointed, as a crash leaves it.
      await using store = await open(other)
      for (let round = 0; round < 50; round++) store.layers.put(layer(`l-${round}`, { description: 'x'.repeat(1000) }))
      copyFileSync(join(other, 'meta.sqlite-wal'), path('meta.sqlite-wal'))
    }
    const names = await imageNames().catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'OCI_STORE_UNUSABLE', hint: expect.stringContaining('meta.sqlite-wal') })
      removeDatabase()
      return imageNames()
    })
    expect(names).toEqual([NAME])
  })
})

function blank(bytes: Buffer, from: number): Buffer {
  return bytes.fill(0, from)
}

testWith(
  ['root', 'mkfs.ext4', 'losetup'],
  'a disk that is read-only is told as that, with where a store can be',
  async () => {
    await using disk = await mountSmallDisk(8 << 20)
    await checkTool('mount', ['-o', 'remount,ro', disk.path])
    await expect(open(join(disk.path, 'store'))).rejects.toMatchObject({
      code: 'OCI_STORE_UNUSABLE',
      message: expect.stringContaining('its file system is read-only'),
      hint: expect.stringContaining('a volume or a tmpfs'),
    })
  },
)

describe('oci-layout', () => {
  test.each([
    ['missing', () => rmSync(path('oci-layout'))],
    ['empty, as a crash of the machine leaves it', () => truncateSync(path('oci-layout'))],
  ])('one that is %s is written again', async (_what, damage) => {
    await makeStore()
    damage()
    expect(await imageNames()).toEqual([NAME])
    expect(readFileSync(path('oci-layout'), 'utf8')).toBe('{"imageLayoutVersion":"1.0.0"}')
  })

  test.each(['{"imageLayoutVersion":"2.0.0"}', 'no JSON'])('one that says %p is refused', async (text) => {
    await makeStore()
    writeFileSync(path('oci-layout'), text)
    await expect(open()).rejects.toMatchObject({ code: 'OCI_STORE_VERSION', hint: expect.any(String) })
  })

  test('one of a gigabyte is not read', async () => {
    await makeStore()
    truncateSync(path('oci-layout'), 1024 ** 3)
    await expect(open()).rejects.toMatchObject({
      code: 'OCI_STORE_UNUSABLE',
      message: expect.stringContaining('EFBIG'),
    })
  })
})

describe('index.json', () => {
  test.each([
    ['garbage', Buffer.from('{"schemaVersion":2,"manifests":[{')],
    ['deeply nested', Buffer.from(`{"schemaVersion":2,"manifests":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)],
    ['of another kind', Buffer.from('{"schemaVersion":2,"manifests":{"__proto__":[1]}}')],
    ['more than an index may be', Buffer.alloc(5 << 20, ' ')],
  ])('one that is %s is put aside, and the rows write it anew', async (_what, bytes) => {
    await makeStore()
    writeFileSync(path('index.json'), bytes)
    expect(await imageNames()).toEqual([NAME])
    expect(readFileSync(path('index.json.unreadable')).equals(bytes)).toBe(true)
  })

  test.each([
    ['missing', () => rmSync(path('index.json'))],
    ['empty', () => truncateSync(path('index.json'))],
  ])('one that is %s is written anew', async (_what, damage) => {
    await makeStore()
    damage()
    expect(await imageNames()).toEqual([NAME])
    expect(existsSync(path('index.json.unreadable'))).toBe(false)
  })

  test('one that is too large to read is told', async () => {
    await makeStore()
    truncateSync(path('index.json'), 1024 ** 3)
    await expect(open()).rejects.toMatchObject({
      code: 'OCI_STORE_UNUSABLE',
      message: expect.stringContaining('EFBIG'),
    })
  })

  test('what another tool adds while the files of a named image go to the disk is there afterwards', async () => {
    const theirs = directory.join('theirs')
    await makeStore(theirs, 'docker.io/library/theirs:latest')
    let copy = (): void => undefined
    const boot = (): string => {
      // Asked when it is looked up which files are to be synced.
      copy()
      return 'boot'
    }
    await using store = await openStore({ root, bootId: boot })
    const image = addImage(store, NAME, 'ours')
    store.layers.put(layer('l-unsynced', { hasTable: true }))
    copy = () => {
      copy = () => undefined
      for (const name of readdirSync(join(theirs, 'blobs/sha256')))
        copyFileSync(join(theirs, 'blobs/sha256', name), path(`blobs/sha256/${name}`))
      const index = JSON.parse(readFileSync(join(theirs, 'index.json'), 'utf8'))
      delete index.annotations
      writeFileSync(path('index.json'), JSON.stringify(index))
    }
    store.images.put({ ...image, images: [{ ...image.images[0], layerIds: ['l-unsynced'] }] })
    expect(store.images.list().map(({ name }) => name)).toEqual([NAME, 'docker.io/library/theirs:latest'])
  })

  test('what another tool adds while the store is open is there after a name was given', async () => {
    const theirs = directory.join('theirs')
    await makeStore(theirs, 'docker.io/library/theirs:latest')
    await using store = await open()
    for (const name of readdirSync(join(theirs, 'blobs/sha256')))
      copyFileSync(join(theirs, 'blobs/sha256', name), path(`blobs/sha256/${name}`))
    const index = JSON.parse(readFileSync(join(theirs, 'index.json'), 'utf8'))
    delete index.annotations
    writeFileSync(path('index.json'), JSON.stringify(index))
    addImage(store, NAME, 'ours')
    expect(store.images.list().map(({ name }) => name)).toEqual([NAME, 'docker.io/library/theirs:latest'])
    expect(JSON.parse(readFileSync(path('index.json'), 'utf8')).manifests).toHaveLength(2)
    expect(await validateLayout(root)).toEqual([])
  })
})

describe('blobs', () => {
  test('a manifest with other bytes is refused once, and written anew by whoever has it', async () => {
    await using store = await open()
    const image = addImage(store, NAME, 'tar')
    const file = store.blobs.path(image.manifestDigest)
    const bytes = readFileSync(file)
    rmSync(file)
    writeFileSync(file, Buffer.alloc(bytes.length, ' '))
    expect(() => store.blobs.read(image.manifestDigest)).toThrow(
      expect.objectContaining({ code: 'OCI_DIGEST_MISMATCH', hint: expect.stringContaining('again') }),
    )
    store.blobs.put(bytes)
    expect(Buffer.from(store.blobs.read(image.manifestDigest)).equals(bytes)).toBe(true)
  })

  test('one that has the right size and other bytes is replaced', async () => {
    await using store = await open()
    const digest = store.blobs.put(Buffer.from('content'))
    rmSync(store.blobs.path(digest))
    writeFileSync(store.blobs.path(digest), 'CONTENT')
    store.blobs.put(Buffer.from('content'))
    expect(Buffer.from(store.blobs.read(digest)).toString()).toBe('content')
  })

  test.each([
    ['damaged', (file: string) => writeFileSync(file, 'x')],
    ['gone', () => undefined],
  ])('an image whose manifest is %s keeps no other one from its name', async (_what, damage) => {
    await using store = await open()
    const file = store.blobs.path(addImage(store, NAME, 'tar').manifestDigest)
    rmSync(file)
    damage(file)
    addImage(store, 'docker.io/library/two:latest', 'other')
    expect(store.images.list().map(({ name }) => name)).toEqual([NAME, 'docker.io/library/two:latest'])
    expect(await validateLayout(root)).toEqual([])
  })

  test('a table that is damaged is said to be, and another layer is read', async () => {
    await using store = await open()
    writeFileSync(path('tables/l-bad'), 'x')
    expect(() => store.layers.readTable('l-bad')).toThrow(expect.objectContaining({ code: 'OCI_LAYER_INVALID' }))
    expect(store.layers.readTable('l-none')).toBeUndefined()
  })

  test('a digest that names a path elsewhere reads nothing', async () => {
    await using store = await open()
    expect(() => store.blobs.read('sha256:../../meta.sqlite' as Digest)).toThrow(
      expect.objectContaining({ code: 'OCI_DIGEST_INVALID' }),
    )
  })
})
