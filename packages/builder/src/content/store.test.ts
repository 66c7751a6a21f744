import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { LayerTable } from '../layer/types.ts'
import { digestOf, type DiffID, type Digest } from '../oci/digest.ts'
import { serializeImageConfig } from '../oci/image-config.ts'
import { serializeManifest } from '../oci/manifest.ts'
import { MediaType } from '../oci/media-types.ts'
import { openStore } from './store.ts'
import type { ImageRecord, LayerRecord, Store } from './types.ts'

let root: string
let store: Store
let clockMs = 1_700_000_000_000

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'ts-oci-store-'))
  store = await open()
})

afterEach(async () => {
  await store.close()
  rmSync(root, { recursive: true, force: true })
})

function open(): Promise<Store> {
  return openStore({ root, now: () => clockMs, pruneWaitMs: 200 })
}

async function reopen(): Promise<void> {
  await store.close()
  store = await open()
}

function layer(id: string, more: Partial<LayerRecord> = {}): LayerRecord {
  return { id, createdMs: 1000, description: `RUN make ${id}`, blobs: [], hasTar: false, hasTable: false, ...more }
}

/** Puts an image of one plain tar layer into the store. */
function addImage(name: string, content: string): ImageRecord & { readonly diffId: DiffID } {
  const tar = Buffer.from(content)
  const diffId = store.blobs.put(tar) as string as DiffID
  const config = serializeImageConfig({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created_by: 'RUN x' }],
  })
  const configDigest = store.blobs.put(config)
  const manifest = serializeManifest({
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: { mediaType: MediaType.ociConfig, digest: configDigest, size: config.length },
    layers: [{ mediaType: MediaType.ociLayer, digest: diffId as string as Digest, size: tar.length }],
  })
  const manifestDigest = store.blobs.put(manifest)
  store.layers.put(layer(diffId, { diffId, hasTar: true, tarSizeBytes: tar.length }))
  const record: ImageRecord = {
    name,
    manifestDigest,
    configDigest,
    layerIds: [diffId],
    sizeBytes: tar.length,
    createdMs: 5000,
    origin: 'built',
    isComplete: true,
    repoDigests: [],
  }
  store.images.put(record)
  return { ...record, diffId }
}

describe('blobs', () => {
  test('content that was put is found by its digest', () => {
    const digest = store.blobs.put(Buffer.from('hello'))
    expect(digest).toBe('sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824')
    expect(store.blobs.has(digest)).toBe(true)
    expect(store.blobs.size(digest)).toBe(5)
    expect(Buffer.from(store.blobs.read(digest)).toString()).toBe('hello')
    expect(
      readFileSync(join(root, 'blobs/sha256/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'), 'utf8'),
    ).toBe('hello')
  })

  test('nobody sees a blob before it is committed', async () => {
    const writer = store.blobs.createWriter()
    await writer.write(Buffer.from('hel'))
    await writer.write(Buffer.from('lo'))
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual([])
    const { digest, sizeBytes } = await writer.commit({ digest: digestOf('hello'), size: 5 })
    expect([digest, sizeBytes, store.blobs.has(digest)]).toEqual([digestOf('hello'), 5, true])
  })

  test('content with another digest is refused and leaves nothing', async () => {
    const writer = store.blobs.createWriter()
    await writer.write(Buffer.from('evil'))
    await expect(writer.commit({ digest: digestOf('good') })).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual([])
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
  })

  test('a cut-off blob is said to be cut off', async () => {
    const writer = store.blobs.createWriter()
    await writer.write(Buffer.from('hel'))
    await expect(writer.commit({ digest: digestOf('hello'), size: 5 })).rejects.toThrow(/cut off: 3 of 5 bytes/)
  })

  test('an aborted writer leaves nothing', async () => {
    const writer = store.blobs.createWriter()
    await writer.write(Buffer.from('x'))
    await writer.abort()
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
  })

  test('a file below tmp is adopted under its digest', async () => {
    await using directory = await store.createTemporaryDirectory('pack')
    writeFileSync(join(directory.path, 'tar'), 'hello')
    store.blobs.adopt(join(directory.path, 'tar'), digestOf('hello'))
    expect(store.blobs.has(digestOf('hello'))).toBe(true)
  })

  test('a missing blob is an error with a code', () => {
    expect(() => store.blobs.read(digestOf('nothing'))).toThrow(expect.objectContaining({ code: 'OCI_BLOB_NOT_FOUND' }))
  })

  test('a digest cannot name a file outside of the blobs', () => {
    expect(() => store.blobs.path('sha256:../../../etc/passwd' as Digest)).toThrow(
      expect.objectContaining({ code: 'OCI_DIGEST_INVALID' }),
    )
  })
})

describe('layers', () => {
  test('a second put adds its forms to the row and keeps the first time', () => {
    const diffId = digestOf('tar') as string as DiffID
    const descriptor = { mediaType: MediaType.ociLayerGzip, digest: digestOf('gz'), size: 2 }
    store.layers.put(layer('l-1', { hasTable: true }))
    store.layers.put(
      layer('l-1', { createdMs: 9999, diffId, hasTar: true, tarSizeBytes: 3, blobs: [{ descriptor, origin: 'zlib' }] }),
    )
    expect(store.layers.get('l-1')).toEqual(
      layer('l-1', { hasTable: true, hasTar: true, diffId, tarSizeBytes: 3, blobs: [{ descriptor, origin: 'zlib' }] }),
    )
    expect(store.layers.findByDiffId(diffId)?.id).toBe('l-1')
  })

  test('a tree of an earlier boot counts only when it was synced', () => {
    const tree = { xattrs: 'trusted', owners: 'identity', bootId: 'another boot', synced: false } as const
    store.layers.put(layer('l-1', { tree }))
    store.layers.put(layer('l-2', { tree: { ...tree, synced: true } }))
    expect(store.layers.get('l-1')?.tree).toBeUndefined()
    expect(store.layers.get('l-2')?.tree).toBeDefined()
  })

  test('a table comes back as it was written', async () => {
    const table: LayerTable = {
      entries: [
        { path: 'bin', type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeSec: -5, mtimeNsec: 0 },
        {
          path: 'bin/caf\xc3\xa9',
          type: 'file',
          mode: 0o4755,
          uid: 4_000_000_000,
          gid: 7,
          size: 9_000_000_000,
          mtimeSec: 1,
          mtimeNsec: 999_999_999,
          content: { kind: 'range', file: '', offset: 5_000_000_512 },
          contentDigest: digestOf('x'),
        },
        {
          path: 'bin/ping',
          type: 'file',
          mode: 0o755,
          uid: 0,
          gid: 0,
          size: 3,
          mtimeSec: 1,
          mtimeNsec: 0,
          xattrs: new Map([['security.capability', Buffer.from([1, 0, 255])]]),
          content: { kind: 'inline', bytes: Buffer.from('abc') },
        },
        {
          path: 'bin/sh',
          type: 'symlink',
          mode: 0o777,
          uid: 0,
          gid: 0,
          size: 0,
          mtimeSec: 1,
          mtimeNsec: 0,
          link: '../usr/bin/dash',
        },
        {
          path: 'dev/null',
          type: 'character',
          mode: 0o666,
          uid: 0,
          gid: 0,
          size: 0,
          mtimeSec: 1,
          mtimeNsec: 0,
          devMajor: 1,
          devMinor: 3,
        },
        { path: 'gone', type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0, mtimeSec: 0, mtimeNsec: 0 },
      ],
    }
    store.layers.writeTable('l-1', table)
    await reopen()
    expect(store.layers.readTable('l-1')).toEqual(table)
    expect(store.layers.readTable('l-2')).toBeUndefined()
  })

  test('the id of a layer cannot name a file elsewhere', () => {
    expect(() => store.snapshotDirectory('../../etc')).toThrow(/not the id of a layer/)
  })
})

describe('images', () => {
  test('an image is found by name, familiar name, id and prefix of its id', () => {
    const image = addImage('docker.io/library/my-app:latest', 'one')
    addImage('docker.io/library/other:1', 'two')
    for (const wanted of [
      'docker.io/library/my-app:latest',
      'my-app',
      'my-app:latest',
      image.configDigest,
      image.configDigest.slice(7, 19),
    ]) {
      expect(store.images.find(wanted)?.name).toBe('docker.io/library/my-app:latest')
    }
    expect(store.images.find(`my-app@${image.manifestDigest}`)?.name).toBe('docker.io/library/my-app:latest')
    expect(store.images.find('my-app:2')).toBeUndefined()
    expect(store.images.find('Not A Name')).toBeUndefined()
  })

  test('an image that loses its last name stays without one', () => {
    const old = addImage('docker.io/library/a:1', 'one')
    addImage('docker.io/library/a:1', 'two')
    expect(
      store.images
        .list()
        .map((image) => image.name)
        .sort(),
    ).toEqual([`<none>@${old.configDigest}`, 'docker.io/library/a:1'])
    store.images.put({ ...old, name: 'docker.io/library/b:1' })
    expect(
      store.images
        .list()
        .map((image) => image.name)
        .sort(),
    ).toEqual(['docker.io/library/a:1', 'docker.io/library/b:1'])
  })

  test('index.json names every image with its whole name', () => {
    const image = addImage('docker.io/library/a:1', 'one')
    const index = JSON.parse(readFileSync(join(root, 'index.json'), 'utf8'))
    expect(index.manifests).toEqual([
      {
        mediaType: MediaType.ociManifest,
        digest: image.manifestDigest,
        size: store.blobs.size(image.manifestDigest),
        annotations: {
          'io.containerd.image.name': 'docker.io/library/a:1',
          'org.opencontainers.image.created': '1970-01-01T00:00:05Z',
          'org.opencontainers.image.ref.name': 'docker.io/library/a:1',
        },
      },
    ])
    store.images.remove('docker.io/library/a:1')
    expect(JSON.parse(readFileSync(join(root, 'index.json'), 'utf8')).manifests).toEqual([])
  })

  test('what another tool added to index.json is an image at the next start', async () => {
    const image = addImage('docker.io/library/a:1', 'one')
    const path = join(root, 'index.json')
    const index = JSON.parse(readFileSync(path, 'utf8'))
    index.manifests.push({ ...index.manifests[0], annotations: { 'org.opencontainers.image.ref.name': 'theirs' } })
    writeFileSync(path, JSON.stringify(index))
    await reopen()
    expect(store.images.find('theirs')).toMatchObject({
      configDigest: image.configDigest,
      origin: 'adopted',
      isComplete: true,
    })
    expect(readFileSync(path, 'utf8')).toContain('"theirs"')
    store.images.remove('docker.io/library/theirs:latest')
    expect(readFileSync(path, 'utf8')).not.toContain('"theirs"')
  })

  test('an image that was removed does not come back from a stale index.json', async () => {
    addImage('docker.io/library/a:1', 'one')
    store.images.remove('docker.io/library/a:1')
    await reopen()
    await reopen()
    expect(store.images.list()).toEqual([])
  })
})

describe('cache', () => {
  const record = {
    key: 'k',
    layerIds: ['l-1'],
    hasContent: true,
    createdMs: 1,
    usedMs: 1,
    usageCount: 0,
    name: '[1/2] RUN x',
    type: 'regular',
    preimage: '{}',
  }

  test('a record is found by its alternative keys', () => {
    store.cache.put(record, ['content-key'])
    store.cache.link('third', 'k')
    expect(store.cache.find('content-key')).toMatchObject({ key: 'k', layerIds: ['l-1'], usageCount: 1 })
    expect(store.cache.find('third')).toMatchObject({ key: 'k', usageCount: 2 })
    expect(store.cache.find('fourth')).toBeUndefined()
    expect(store.cache.findByName('[1/2] RUN x')?.key).toBe('k')
  })

  test('use is written down when the store closes', async () => {
    store.cache.put(record, [])
    clockMs = 1_700_000_099_000
    store.cache.find('k')
    await reopen()
    expect(store.cache.list()).toEqual([{ ...record, usedMs: clockMs, usageCount: 1 }])
  })

  test('facts outlive a build', async () => {
    store.cache.putFact('etag', '"x"')
    store.cache.putFact('etag', '"y"')
    await reopen()
    expect(store.cache.getFact('etag')).toBe('"y"')
  })

  test('a failed transaction leaves no row', () => {
    expect(() =>
      store.transaction(() => {
        store.cache.put(record, ['a'])
        throw new Error('stop')
      }),
    ).toThrow('stop')
    expect(store.cache.find('k')).toBeUndefined()
    expect(store.cache.find('a')).toBeUndefined()
  })
})

describe('prune', () => {
  test('what belongs to an image stays, the rest of the cache goes', async () => {
    const image = addImage('docker.io/library/a:1', 'one')
    store.blobs.put(Buffer.from('left-over'))
    const diffId = store.blobs.put(Buffer.from('cached tar')) as string as DiffID
    store.layers.put(layer('l-cached', { diffId, hasTar: true }))
    store.cache.put(
      {
        key: 'k1',
        layerIds: [image.diffId],
        hasContent: true,
        createdMs: 1,
        usedMs: 1,
        usageCount: 1,
        name: 'kept layer',
        type: 'regular',
        preimage: '',
      },
      [],
    )
    store.cache.put(
      {
        key: 'k2',
        layerIds: ['l-cached'],
        hasContent: true,
        createdMs: 1,
        usedMs: 1,
        usageCount: 1,
        name: 'n',
        type: 'regular',
        preimage: '',
      },
      ['alt'],
    )
    writeFileSync(join(store.cacheMountDirectory('/root/.npm'), 'package'), '12345')
    const result = await store.prune({ all: true })
    expect(Object.fromEntries(result.removed.map((item) => [item.id, item.sizeBytes]))).toEqual({
      k1: 0,
      'l-cached': 10,
      '/root/.npm': 5,
      'left-over': 9,
    })
    expect(result.reclaimedBytes).toBe(24)
    expect(store.cache.list()).toEqual([])
    expect(store.cache.find('alt')).toBeUndefined()
    expect(readdirSync(join(root, 'cache-mounts'))).toEqual([])
    expect(readdirSync(join(root, 'blobs/sha256')).sort()).toEqual(
      [image.diffId, image.configDigest, image.manifestDigest].map((digest) => digest.slice(7)).sort(),
    )
    expect(store.layers.get(image.diffId)).toMatchObject({ hasTar: true })
  })

  test('without `all` only what was not used lately goes', async () => {
    clockMs = 1_700_000_000_000
    const base = { layerIds: [], hasContent: true, createdMs: 1, usageCount: 1, type: 'regular', preimage: '' }
    store.cache.put({ ...base, key: 'old', usedMs: clockMs - 49 * 3600_000, name: 'old' }, [])
    store.cache.put({ ...base, key: 'new', usedMs: clockMs - 47 * 3600_000, name: 'new' }, [])
    await store.prune({ all: false })
    expect(store.cache.list().map((item) => item.key)).toEqual(['new'])
  })

  test('while another process uses the store nothing is removed', async () => {
    const other = await open()
    await expect(store.prune({ all: true })).rejects.toMatchObject({ code: 'OCI_STORE_UNUSABLE' })
    await other.close()
    await expect(store.prune({ all: true })).resolves.toEqual({ removed: [], reclaimedBytes: 0 })
  })
})

describe('locks', () => {
  test('a lock is held by one at a time and is free afterwards', async () => {
    const held = await store.locks.acquire('layer one')
    expect(store.locks.tryAcquire('layer one')).toBeUndefined()
    let order = ''
    const second = (async () => {
      await using _lock = await store.locks.acquire('layer one')
      order += 'second'
    })()
    order += 'first '
    await held[Symbol.asyncDispose]()
    await second
    expect(order).toBe('first second')
  })

  test('shared locks go together', async () => {
    const one = store.locks.tryAcquire('x', { shared: true })
    const two = store.locks.tryAcquire('x', { shared: true })
    expect(two).toBeDefined()
    expect(store.locks.tryAcquire('x')).toBeUndefined()
    await one?.[Symbol.asyncDispose]()
    expect(store.locks.tryAcquire('x')).toBeUndefined()
    await two?.[Symbol.asyncDispose]()
    const alone = store.locks.tryAcquire('x')
    expect(alone).toBeDefined()
    await alone?.[Symbol.asyncDispose]()
  })

  test('waiting ends with the signal', async () => {
    await using _held = await store.locks.acquire('x')
    await expect(store.locks.acquire('x', { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({
      code: 'OCI_CANCELED',
    })
  })

  test('no lock file stays behind', async () => {
    await (await store.locks.acquire('x'))[Symbol.asyncDispose]()
    expect(readdirSync(join(root, 'run')).filter((name) => name.startsWith('x'))).toEqual([])
  })
})

describe('the store on disk', () => {
  test('it is an image layout that only its owner may read', () => {
    expect(readFileSync(join(root, 'oci-layout'), 'utf8')).toBe('{"imageLayoutVersion":"1.0.0"}')
    expect(existsSync(join(root, 'index.json'))).toBe(true)
  })

  test('a fresh root is private', async () => {
    const other = await openStore({ root: join(root, 'sub/store') })
    expect(statSync(other.root).mode & 0o777).toBe(0o700)
    await other.close()
  })

  test('a store of a newer version is refused', async () => {
    await store.close()
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
    const database = new DatabaseSync(join(root, 'meta.sqlite'))
    database.exec('PRAGMA user_version = 99')
    database.close()
    await expect(open()).rejects.toMatchObject({ code: 'OCI_STORE_VERSION' })
  })

  test('the root is taken from the environment', async () => {
    const other = await openStore({ env: { XDG_DATA_HOME: join(root, 'data'), HOME: '/nowhere' } })
    expect(other.root).toBe(join(root, 'data/ts-oci'))
    await other.close()
    const named = await openStore({ env: { TSBUILD_HOME: join(root, 'named'), XDG_DATA_HOME: join(root, 'data') } })
    expect(named.root).toBe(join(root, 'named'))
    await named.close()
  })

  test('a root that is a file is refused', async () => {
    writeFileSync(join(root, 'file'), '')
    await expect(openStore({ root: join(root, 'file') })).rejects.toThrow()
  })
})
