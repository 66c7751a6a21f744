import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { findImage } from '../api/images.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import { addImage, layer } from './store-rows.test.helper.ts'
import { openStore } from './store.ts'
import type { Store } from './types.ts'

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
  return openStore({ root, now: () => clockMs })
}

async function reopen(): Promise<void> {
  await store.close()
  store = await open()
}

describe('images', () => {
  test('an image is found by name, familiar name, id and prefix of its id', () => {
    const image = addImage(store, 'docker.io/library/my-app:latest', 'one')
    addImage(store, 'docker.io/library/other:1', 'two')
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

  test('an image is found by four digits of its id, where no image has them as its name', () => {
    const { configDigest } = addImage(store, 'docker.io/library/my-app:latest', 'one')
    const short = configDigest.slice(7, 11)
    expect(findImage(store, short).images[0].configDigest).toBe(configDigest)
    const named = addImage(store, `docker.io/library/${short}:latest`, 'two')
    expect(findImage(store, short).images[0].configDigest).toBe(named.configDigest)
  })

  test('an image that loses its last name stays without one', () => {
    const old = addImage(store, 'docker.io/library/a:1', 'one')
    addImage(store, 'docker.io/library/a:1', 'two')
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
    const image = addImage(store, 'docker.io/library/a:1', 'one')
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

  test('a name may lead to an index over several platforms, each of which is found and kept', async () => {
    const [one, two] = [
      addImage(store, 'docker.io/library/a:1', 'one'),
      addImage(store, 'docker.io/library/b:1', 'two'),
    ]
    const manifests = [one, two].map(({ manifestDigest: digest }) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest,
      size: store.blobs.size(digest)!,
    }))
    const mediaType = 'application/vnd.oci.image.index.v1+json'
    const digest = store.blobs.put(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })))
    const images = [one.images[0], two.images[0]] as const
    store.images.put({ ...one, name: 'docker.io/library/both:1', digest, images })
    for (const name of ['docker.io/library/a:1', 'docker.io/library/b:1']) store.images.remove(name)
    await reopen()
    await store.prune({ all: true })
    expect(store.images.get('docker.io/library/both:1')).toMatchObject({ digest, images })
    for (const known of [digest, two.manifestDigest, two.configDigest])
      expect(store.images.find(known)?.name).toBe('docker.io/library/both:1')
    for (const needed of [digest, two.manifestDigest, two.configDigest, String(two.diffId) as Digest])
      expect(store.blobs.has(needed)).toBe(true)
    expect(JSON.parse(readFileSync(join(root, 'index.json'), 'utf8')).manifests).toMatchObject([{ mediaType, digest }])
  })

  test('what another tool added to index.json is an image at the next start', async () => {
    const image = addImage(store, 'docker.io/library/a:1', 'one')
    const path = join(root, 'index.json')
    const index = JSON.parse(readFileSync(path, 'utf8'))
    index.manifests.push({ ...index.manifests[0], annotations: { 'org.opencontainers.image.ref.name': 'theirs' } })
    writeFileSync(path, JSON.stringify(index))
    await reopen()
    expect(store.images.find('theirs')).toMatchObject({
      images: [{ configDigest: image.configDigest, isComplete: true }],
      origin: 'adopted',
    })
    expect(readFileSync(path, 'utf8')).toContain('"theirs"')
    store.images.remove('docker.io/library/theirs:latest')
    expect(readFileSync(path, 'utf8')).not.toContain('"theirs"')
  })

  test('an image that was removed does not come back from a stale index.json', async () => {
    addImage(store, 'docker.io/library/a:1', 'one')
    store.images.remove('docker.io/library/a:1')
    await reopen()
    await reopen()
    expect(store.images.list()).toEqual([])
  })
})

describe('prune', () => {
  test('what belongs to an image stays, the rest of the cache goes', async () => {
    const image = addImage(store, 'docker.io/library/a:1', 'one')
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

  const record = { createdMs: 1, usedMs: 1, usageCount: 1, name: 'n', type: 'regular', preimage: '', hasContent: true }

  test('what another open store uses stays, the rest goes, and nobody is waited for', async () => {
    for (const id of ['l-found', 'l-loaded', 'l-unused']) {
      store.layers.put(layer(id, {}))
      store.layers.writeTable(id, { entries: [] })
      mkdirSync(store.snapshotDirectory(id))
      store.cache.put({ ...record, key: `key of ${id}`, layerIds: [id] }, [`link to ${id}`])
    }
    await reopen()
    const other = await open()
    other.cache.find('link to l-found')
    other.lease('l-loaded')
    await store.prune({ all: true })
    expect(store.layers.list().map(({ id }) => id)).toEqual(['l-found', 'l-loaded'])
    expect(readdirSync(join(root, 'snapshots')).sort()).toEqual(['l-found', 'l-loaded'])
    expect(readdirSync(join(root, 'tables')).sort()).toEqual(['l-found', 'l-loaded'])
    expect(other.cache.find('link to l-found')).toMatchObject({ layerIds: ['l-found'] })
    await other.close()
    await store.prune({ all: true })
    expect([store.layers.list(), readdirSync(join(root, 'snapshots'))]).toEqual([[], []])
  })

  test('what another open store has made and not named yet stays', async () => {
    const other = await open()
    const diffId = other.blobs.put(Buffer.from('made now'))
    mkdirSync(other.snapshotDirectory('l-made'))
    await store.prune({ all: true })
    expect(other.blobs.has(diffId)).toBe(true)
    expect(readdirSync(join(root, 'snapshots'))).toEqual(['l-made'])
    await other.close()
    await store.prune({ all: true })
    expect([store.blobs.has(diffId), readdirSync(join(root, 'snapshots'))]).toEqual([false, []])
  })

  test('what another open store has made stays when the clock was set back meanwhile', async () => {
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 3600_000)
    const other = await open()
    jest.restoreAllMocks()
    const writer = other.blobs.createWriter()
    await writer.write(Buffer.from('made now'))
    const { digest } = await writer.commit()
    const pulled = `sha256:${'7'.repeat(64)}`
    other.lease(pulled)
    mkdirSync(other.snapshotDirectory(pulled))
    other.layers.writeTable(pulled, { entries: [] })
    await store.prune({ all: true })
    expect(other.blobs.has(digest)).toBe(true)
    expect([readdirSync(join(root, 'snapshots')), readdirSync(join(root, 'tables'))]).toEqual([
      [pulled.replace(':', '-')],
      [pulled.replace(':', '-')],
    ])
    await other.close()
  })

  test('a document is read while a prune has it out of sight', async () => {
    const digest = store.blobs.put(Buffer.from('document'))
    const path = store.blobs.path(digest)
    const away = join(dirname(path), `pruned-1-ab.${basename(path)}`)
    renameSync(path, away)
    const back = spawn('sh', ['-c', 'sleep 0.05; mv "$0" "$1"', away, path])
    expect(store.blobs.read(digest).toString()).toBe('document')
    await once(back, 'exit')
    expect(() => store.blobs.read(`sha256:${'0'.repeat(64)}` as never)).toThrow('is not in the store')
  })

  test('a cache mount that a step has mounted stays', async () => {
    for (const id of ['held', 'free']) writeFileSync(join(store.cacheMountDirectory(id), 'file'), 'x')
    const other = await open()
    await other.locks.hold('cache-mount', [{ name: 'held', shared: true }], {}, async () => {
      const { removed } = await store.prune({ all: true })
      expect(removed.map(({ id }) => id)).toEqual(['free'])
    })
    await other.close()
    expect((await store.prune({ all: true })).removed.map(({ id }) => id)).toEqual(['held'])
  })
})
