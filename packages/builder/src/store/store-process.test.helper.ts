import fs, { readFileSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { digestHex, digestOf, type Digest, type DiffID } from '../oci/digest.ts'
import { serializeImageConfig } from '../oci/image-config.ts'
import { serializeManifest } from '../oci/manifest.ts'
import { MediaType } from '../oci/media-types.ts'
import { openStore } from './store.ts'
import type { Store } from './types.ts'

/** Work that a test gives to a process of its own: `node THIS COMMAND ROOT NAME`. Prints a line after each round. */

/** One image of one layer whose content is `name`. */
export function addImage(store: Store, name: string): void {
  const tar = Buffer.alloc(64 * 1024, name)
  const diffId = store.blobs.put(tar) as string as DiffID
  const config = serializeImageConfig({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [diffId] },
  })
  const manifest = serializeManifest({
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: { mediaType: MediaType.ociConfig, digest: store.blobs.put(config), size: config.length },
    layers: [{ mediaType: MediaType.ociLayer, digest: diffId as string as Digest, size: tar.length }],
  })
  const manifestDigest = store.blobs.put(manifest)
  store.transaction(() => {
    store.layers.put({
      id: diffId,
      diffId,
      createdMs: 1,
      description: name,
      blobs: [],
      hasTar: true,
      tarSizeBytes: tar.length,
      hasTable: false,
    })
    store.images.put({
      name: `docker.io/library/${name}:latest`,
      digest: manifestDigest,
      images: [
        {
          manifestDigest,
          configDigest: digestOf(config),
          layerIds: [diffId],
          sizeBytes: tar.length,
          isComplete: true,
        },
      ],
      createdMs: 1,
      origin: 'built',
      repoDigests: [],
    })
    store.cache.put(
      {
        key: name,
        layerIds: [diffId],
        hasContent: true,
        createdMs: 1,
        usedMs: 1,
        usageCount: 0,
        name,
        type: 'regular',
        preimage: '',
      },
      [`other-${name}`],
    )
  })
}

const COMMANDS: Readonly<Record<string, (store: Store, name: string) => Promise<void>>> = {
  async images(store, name) {
    for (let round = 0; ; round++) {
      addImage(store, `${name}-${round}`)
      console.log(round)
      await new Promise((resolve) => setImmediate(resolve))
    }
  },
  async 'some-images'(store, name) {
    for (let round = 0; round < 10; round++) addImage(store, `${name}-${round}`)
  },
  async blobs(store) {
    for (let round = 0; ; round++) {
      const writer = store.blobs.createWriter()
      for (let chunk = 0; chunk < 20; chunk++) await writer.write(Buffer.alloc(32 * 1024, round))
      await using directory = await store.createTemporaryDirectory('work')
      writeFileSync(join(directory.path, 'file'), 'x')
      await writer.commit()
      console.log(round)
    }
  },
  async count(store) {
    const file = join(store.root, 'counter')
    for (let round = 0; round < 50; round++) {
      await using _lock = await store.locks.acquire('counter')
      const value = Number(readFileSync(file, 'utf8'))
      await new Promise((resolve) => setImmediate(resolve))
      writeFileSync(file, String(value + 1))
    }
  },
  // A prune that dies while it has `name` out of sight, of which another process has just put a row.
  async 'die-in-prune'(store, name) {
    const diffId = digestOf(name) as string as DiffID
    const rename = fs.renameSync
    fs.renameSync = (from, to) => {
      rename(from, to)
      if (!String(from).endsWith(digestHex(digestOf(name)))) return
      store.layers.put({ id: diffId, diffId, createdMs: 1, description: '', blobs: [], hasTar: true, hasTable: false })
      process.kill(process.pid, 'SIGKILL')
    }
    syncBuiltinESMExports()
    await store.prune({ all: true })
  },
  async hold(store) {
    await store.locks.acquire('held')
    await store.createTemporaryDirectory('held')
    console.log('held')
    setInterval(() => undefined, 1000)
    await new Promise(() => undefined)
  },
}

const [, script, command = '', root = '', name = ''] = process.argv
if (script?.endsWith('store-process.test.helper.ts') === true) {
  const store = await openStore({ root })
  await COMMANDS[command]?.(store, name)
  await store.close()
}
