import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, jest, test } from '@jest/globals'
import { findImage } from '../api/images.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import { addImage, layer } from './store-rows.test.helper.ts'
import { openedStore } from './opened-store.test.helper.ts'

const opened = openedStore()

describe('images', () => {
  test('an image is found by name, familiar name, id and prefix of its id', () => {
    const image = addImage(opened.store, 'docker.io/library/my-app:latest', 'one')
    addImage(opened.store, 'docker.io/library/other:1', 'two')
    for (const wanted of [
      'docker.io/library/my-app:latest',
      'my-app',
      'my-app:latest',
      image.configDigest,
      image.configDigest.slice(7, 19),
    ]) {
      expect(opened.store.images.find(wanted)?.name).toBe('docker.io/library/my-app:latest')
    }
    expect(opened.store.images.find(`my-app@${image.manifestDigest}`)?.name).toBe('docker.io/library/my-app:latest')
    expect(opened.store.images.find('my-app:2')).toBeUndefined()
    expect(opened.store.images.find('Not A Name')).toBeUndefined()
  })

  test('an image is found by four digits of its id, where no image has them as its name', () => {
    const { configDigest } = addImage(opened.store, 'docker.io/library/my-app:latest', 'one')
    const short = configDigest.slice(7, 11)
    expect(findImage(opened.store, short).images[0].configDigest).toBe(configDigest)
    const named = addImage(opened.store, `docker.io/library/${short}:latest`, 'two')
    expect(findImage(opened.store, short).images[0].configDigest).toBe(named.configDigest)
  })

  test('an image that loses its last name stays without one', () => {
    const old = addImage(opened.store, 'docker.io/library/a:1', 'one')
    addImage(opened.store, 'docker.io/library/a:1', 'two')
    expect(
      opened.store.images
        .list()
        .map((image) => image.name)
        .sort(),
    ).toEqual([`<none>@${old.configDigest}`, 'docker.io/library/a:1'])
    opened.store.images.put({ ...old, name: 'docker.io/library/b:1' })
    expect(
      opened.store.images
        .list()
        .map((image) => image.name)
        .sort(),
    ).toEqual(['docker.io/library/a:1', 'docker.io/library/b:1'])
  })

  test('index.json names every image with its whole name', () => {
    const image = addImage(opened.store, 'docker.io/library/a:1', 'one')
    const index = JSON.parse(readFileSync(join(opened.root, 'index.json'), 'utf8'))
    expect(index.manifests).toEqual([
      {
        mediaType: MediaType.ociManifest,
        digest: image.manifestDigest,
        size: opened.store.blobs.size(image.manifestDigest),
        annotations: {
          'io.containerd.image.name': 'docker.io/library/a:1',
          'org.opencontainers.image.created': '1970-01-01T00:00:05Z',
          'org.opencontainers.image.ref.name': 'docker.io/library/a:1',
        },
      },
    ])
    opened.store.images.remove('docker.io/library/a:1')
    expect(JSON.parse(readFileSync(join(opened.root, 'index.json'), 'utf8')).manifests).toEqual([])
  })

  test('a name may lead to an index over several platforms, each of which is found and kept', async () => {
    const [one, two] = [
      addImage(opened.store, 'docker.io/library/a:1', 'one'),
      addImage(opened.store, 'docker.io/library/b:1', 'two'),
    ]
    const manifests = [one, two].map(({ manifestDigest: digest }) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest,
      size: opened.store.blobs.size(digest)!,
    }))
    const mediaType = 'application/vnd.oci.image.index.v1+json'
    const digest = opened.store.blobs.put(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })))
    const images = [one.images[0], two.images[0]] as const
    opened.store.images.put({ ...one, name: 'docker.io/library/both:1', digest, images })
    for (const name of ['docker.io/library/a:1', 'docker.io/library/b:1']) opened.store.images.remove(name)
    await opened.reopen()
    await opened.store.prune({ all: true })
    expect(opened.store.images.get('docker.io/library/both:1')).toMatchObject({ digest, images })
    for (const known of [digest, two.manifestDigest, two.configDigest])
      expect(opened.store.images.find(known)?.name).toBe('docker.io/library/both:1')
    for (const needed of [digest, two.manifestDigest, two.configDigest, String(two.diffId) as Digest])
      expect(opened.store.blobs.has(needed)).toBe(true)
    expect(JSON.parse(readFileSync(join(opened.root, 'index.json'), 'utf8')).manifests).toMatchObject([
      { mediaType, digest },
    ])
  })

  test('what another tool added to index.json is an image at the next start', async () => {
    const image = addImage(opened.store, 'docker.io/library/a:1', 'one')
    const path = join(opened.root, 'index.json')
    const index = JSON.parse(readFileSync(path, 'utf8'))
    index.manifests.push({ ...index.manifests[0], annotations: { 'org.opencontainers.image.ref.name': 'theirs' } })
    writeFileSync(path, JSON.stringify(index))
    await opened.reopen()
    expect(opened.store.images.find('theirs')).toMatchObject({
      images: [{ configDigest: image.configDigest, isComplete: true }],
      origin: 'adopted',
    })
    expect(readFileSync(path, 'utf8')).toContain('"theirs"')
    opened.store.images.remove('docker.io/library/theirs:latest')
    expect(readFileSync(path, 'utf8')).not.toContain('"theirs"')
  })

  test('an image that was removed does not come back from a stale index.json', async () => {
    addImage(opened.store, 'docker.io/library/a:1', 'one')
    opened.store.images.remove('docker.io/library/a:1')
    await opened.reopen()
    await opened.reopen()
    expect(opened.store.images.list()).toEqual([])
  })
})

describe('prune', () => {
  test('what belongs to an image stays, the rest of the cache goes', async () => {
    const image = addImage(opened.store, 'docker.io/library/a:1', 'one')
    opened.store.blobs.put(Buffer.from('left-over'))
    const diffId = opened.store.blobs.put(Buffer.from('cached tar')) as string as DiffID
    opened.store.layers.put(layer('l-cached', { diffId, hasTar: true }))
    opened.store.cache.put(
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
    opened.store.cache.put(
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
    writeFileSync(join(opened.store.cacheMountDirectory('/root/.npm'), 'package'), '12345')
    const result = await opened.store.prune({ all: true })
    expect(Object.fromEntries(result.removed.map((item) => [item.description, item.sizeBytes]))).toEqual({
      'RUN make l-cached': 10,
      [`RUN make ${image.diffId}`]: 0,
      'cached mount with id "/root/.npm"': 5,
      'files that nothing refers to': 9,
    })
    expect(result.reclaimedBytes).toBe(24)
    expect(opened.store.cache.list()).toEqual([])
    expect(opened.store.cache.find('alt')).toBeUndefined()
    expect(readdirSync(join(opened.root, 'cache-mounts'))).toEqual([])
    expect(readdirSync(join(opened.root, 'blobs/sha256')).sort()).toEqual(
      [image.diffId, image.configDigest, image.manifestDigest].map((digest) => digest.slice(7)).sort(),
    )
    expect(opened.store.layers.get(image.diffId)).toMatchObject({ hasTar: true })
  })

  test('without `all` what an image shares stays in the cache', async () => {
    const image = addImage(opened.store, 'docker.io/library/a:1', 'one')
    const base = { hasContent: true, createdMs: 1, usedMs: 1, usageCount: 1, type: 'regular', preimage: '' }
    opened.store.cache.put({ ...base, key: 'shared', layerIds: [image.diffId], name: 'shared' }, [])
    opened.store.cache.put({ ...base, key: 'private', layerIds: [], name: 'private' }, [])
    await opened.store.prune({ all: false })
    expect(opened.store.cache.list().map((item) => item.key)).toEqual(['shared'])
    await opened.store.prune({ all: true })
    expect(opened.store.cache.list()).toEqual([])
    expect(opened.store.layers.get(image.diffId)).toMatchObject({ hasTar: true })
  })

  const record = { createdMs: 1, usedMs: 1, usageCount: 1, name: 'n', type: 'regular', preimage: '', hasContent: true }

  test('what another open store uses stays, the rest goes, and nobody is waited for', async () => {
    for (const id of ['l-found', 'l-loaded', 'l-unused']) {
      opened.store.layers.put(layer(id, {}))
      opened.store.layers.writeTable(id, { entries: [] })
      mkdirSync(opened.store.snapshotDirectory(id))
      opened.store.cache.put({ ...record, key: `key of ${id}`, layerIds: [id] }, [`link to ${id}`])
    }
    await opened.reopen()
    const other = await opened.open()
    other.cache.find('link to l-found')
    other.lease('l-loaded')
    await opened.store.prune({ all: true })
    expect(opened.store.layers.list().map(({ id }) => id)).toEqual(['l-found', 'l-loaded'])
    expect(readdirSync(join(opened.root, 'snapshots')).sort()).toEqual(['l-found', 'l-loaded'])
    expect(readdirSync(join(opened.root, 'tables')).sort()).toEqual(['l-found', 'l-loaded'])
    expect(other.cache.find('link to l-found')).toMatchObject({ layerIds: ['l-found'] })
    await other.close()
    await opened.store.prune({ all: true })
    expect([opened.store.layers.list(), readdirSync(join(opened.root, 'snapshots'))]).toEqual([[], []])
  })

  test('what another open store has made and not named yet stays', async () => {
    const other = await opened.open()
    const diffId = other.blobs.put(Buffer.from('made now'))
    mkdirSync(other.snapshotDirectory('l-made'))
    await opened.store.prune({ all: true })
    expect(other.blobs.has(diffId)).toBe(true)
    expect(readdirSync(join(opened.root, 'snapshots'))).toEqual(['l-made'])
    await other.close()
    await opened.store.prune({ all: true })
    expect([opened.store.blobs.has(diffId), readdirSync(join(opened.root, 'snapshots'))]).toEqual([false, []])
  })

  test('what another open store has made stays when the clock was set back meanwhile', async () => {
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 3600_000)
    const other = await opened.open()
    jest.restoreAllMocks()
    const writer = other.blobs.createWriter()
    await writer.write(Buffer.from('made now'))
    const { digest } = await writer.commit()
    const pulled = `sha256:${'7'.repeat(64)}`
    other.lease(pulled)
    mkdirSync(other.snapshotDirectory(pulled))
    other.layers.writeTable(pulled, { entries: [] })
    await opened.store.prune({ all: true })
    expect(other.blobs.has(digest)).toBe(true)
    expect([readdirSync(join(opened.root, 'snapshots')), readdirSync(join(opened.root, 'tables'))]).toEqual([
      [pulled.replace(':', '-')],
      [pulled.replace(':', '-')],
    ])
    await other.close()
  })

  test('a document is read while a prune has it out of sight', async () => {
    const digest = opened.store.blobs.put(Buffer.from('document'))
    const path = opened.store.blobs.path(digest)
    const away = join(dirname(path), `pruned-1-ab.${basename(path)}`)
    renameSync(path, away)
    const back = spawn('sh', ['-c', 'sleep 0.05; mv "$0" "$1"', away, path])
    expect(opened.store.blobs.read(digest).toString()).toBe('document')
    await once(back, 'exit')
    expect(() => opened.store.blobs.read(`sha256:${'0'.repeat(64)}` as never)).toThrow('is not in the store')
  })

  test('a cache mount that a step has mounted stays', async () => {
    for (const id of ['held', 'free']) writeFileSync(join(opened.store.cacheMountDirectory(id), 'file'), 'x')
    const other = await opened.open()
    await other.locks.hold('cache-mount', [{ name: 'held', shared: true }], {}, async () => {
      const { removed } = await opened.store.prune({ all: true })
      expect(removed.map(({ description }) => description)).toEqual(['cached mount with id "free"'])
    })
    await other.close()
    expect((await opened.store.prune({ all: true })).removed).toMatchObject([
      { description: 'cached mount with id "held"', type: 'exec.cachemount', isMutable: true, sizeBytes: 1 },
    ])
  })
})
