import { chmodSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import type { LayerTable } from '../view/types.ts'
import { digestOf, type DiffID, type Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import { layer } from './store-rows.test.helper.ts'
import { openMetadata } from './metadata.ts'
import { bootId } from '../base/boot-id.ts'
import { openStore } from './store.ts'
import { markTreesSynced, unsyncedTrees } from './tree-sync.ts'
import { openedStore } from './opened-store.test.helper.ts'

const opened = openedStore()

describe('blobs', () => {
  test('content that was put is found by its digest', () => {
    const digest = opened.store.blobs.put(Buffer.from('hello'))
    expect(digest).toBe('sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824')
    expect(opened.store.blobs.has(digest)).toBe(true)
    expect(opened.store.blobs.size(digest)).toBe(5)
    expect(Buffer.from(opened.store.blobs.read(digest)).toString()).toBe('hello')
    expect(
      readFileSync(
        join(opened.root, 'blobs/sha256/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'),
        'utf8',
      ),
    ).toBe('hello')
  })

  test('nobody sees a blob before it is committed', async () => {
    const writer = opened.store.blobs.createWriter()
    await writer.write(Buffer.from('hel'))
    await writer.write(Buffer.from('lo'))
    expect(readdirSync(join(opened.root, 'blobs/sha256'))).toEqual([])
    const { digest, sizeBytes } = await writer.commit({ digest: digestOf('hello'), size: 5 })
    expect([digest, sizeBytes, opened.store.blobs.has(digest)]).toEqual([digestOf('hello'), 5, true])
  })

  test('content with another digest is refused and leaves nothing', async () => {
    const writer = opened.store.blobs.createWriter()
    await writer.write(Buffer.from('evil'))
    await expect(writer.commit({ digest: digestOf('good') })).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    expect(readdirSync(join(opened.root, 'blobs/sha256'))).toEqual([])
    expect(readdirSync(join(opened.root, 'tmp'))).toEqual([])
  })

  test('a cut-off blob is said to be cut off', async () => {
    const writer = opened.store.blobs.createWriter()
    await writer.write(Buffer.from('hel'))
    await expect(writer.commit({ digest: digestOf('hello'), size: 5 })).rejects.toThrow(/cut off: 3 of 5 bytes/)
  })

  test('an aborted writer leaves nothing', async () => {
    const writer = opened.store.blobs.createWriter()
    await writer.write(Buffer.from('x'))
    await writer.abort()
    expect(readdirSync(join(opened.root, 'tmp'))).toEqual([])
  })

  test('a file below tmp is adopted under its digest', async () => {
    await using directory = await opened.store.createTemporaryDirectory('pack')
    writeFileSync(join(directory.path, 'tar'), 'hello')
    opened.store.blobs.adopt(join(directory.path, 'tar'), digestOf('hello'))
    expect(opened.store.blobs.has(digestOf('hello'))).toBe(true)
  })

  test('a file that this store has adopted stays when it comes again, and one that was damaged meanwhile is replaced', async () => {
    await using directory = await opened.store.createTemporaryDirectory('pack')
    const digest = digestOf('hello')
    const blob = opened.store.blobs.path(digest)
    const adopt = (): number => {
      writeFileSync(join(directory.path, 'tar'), 'hello')
      opened.store.blobs.adopt(join(directory.path, 'tar'), digest)
      return statSync(blob).ino
    }
    const first = adopt()
    expect(adopt()).toBe(first)
    expect(readdirSync(directory.path)).toEqual([])
    chmodSync(blob, 0o600)
    writeFileSync(blob, 'hell')
    adopt()
    expect(readFileSync(blob, 'utf8')).toBe('hello')
  })

  test('a missing blob is an error with a code', () => {
    expect(() => opened.store.blobs.read(digestOf('nothing'))).toThrow(
      expect.objectContaining({ code: 'OCI_BLOB_NOT_FOUND' }),
    )
  })

  test('a digest cannot name a file outside of the blobs', () => {
    expect(() => opened.store.blobs.path('sha256:../../../etc/passwd' as Digest)).toThrow(
      expect.objectContaining({ code: 'OCI_DIGEST_INVALID' }),
    )
  })
})

describe('layers', () => {
  test('a second put adds its forms to the row and keeps the first time', () => {
    const diffId = digestOf('tar') as string as DiffID
    const descriptor = { mediaType: MediaType.ociLayerGzip, digest: digestOf('gz'), size: 2 }
    opened.store.layers.put(layer('l-1', { hasTable: true }))
    opened.store.layers.put(
      layer('l-1', { createdMs: 9999, diffId, hasTar: true, tarSizeBytes: 3, blobs: [{ descriptor, origin: 'zlib' }] }),
    )
    expect(opened.store.layers.get('l-1')).toEqual(
      layer('l-1', { hasTable: true, hasTar: true, diffId, tarSizeBytes: 3, blobs: [{ descriptor, origin: 'zlib' }] }),
    )
    expect(opened.store.layers.findByDiffId(diffId)?.id).toBe('l-1')
  })

  test('a tree of an earlier boot counts only when it was synced', () => {
    const tree = { xattrs: 'trusted', owners: 'identity', bootId: 'another boot', synced: false } as const
    opened.store.layers.put(layer('l-1', { trees: [tree] }))
    opened.store.layers.put(layer('l-2', { trees: [{ ...tree, synced: true }] }))
    expect(opened.store.layers.get('l-1')?.trees).toBeUndefined()
    expect(opened.store.layers.get('l-2')?.trees).toBeDefined()
  })

  test('a sync speaks for no tree that took the place of another one while it ran', async () => {
    const metadata = openMetadata(opened.root, join(opened.root, 'meta.sqlite'))
    const unsynced = { xattrs: 'trusted', owners: 'identity', bootId: bootId(), synced: false } as const
    opened.store.layers.put(layer('l-1', { trees: [unsynced] }))
    opened.store.layers.put(layer('l-2', { trees: [unsynced] }))
    const found = unsyncedTrees(metadata, bootId())
    opened.store.layers.put(layer('l-1', { trees: [unsynced] }))
    markTreesSynced(metadata, found)
    expect(['l-1', 'l-2'].map((id) => opened.store.layers.get(id)?.trees?.[0]?.synced)).toEqual([false, true])
    metadata.close()
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
    opened.store.layers.writeTable('l-1', table)
    await opened.reopen()
    expect(opened.store.layers.readTable('l-1')).toEqual(table)
    expect(opened.store.layers.readTable('l-2')).toBeUndefined()
  })

  test('a table stays when the transaction that deletes its layer fails, and goes when it commits', () => {
    const table: LayerTable = { entries: [] }
    opened.store.layers.writeTable('l-1', table)
    opened.store.layers.put(layer('l-1', { hasTable: true }))
    const fail = (): void =>
      opened.store.transaction(() => {
        opened.store.layers.delete('l-1')
        throw new Error('no')
      })
    expect(fail).toThrow('no')
    expect(opened.store.layers.get('l-1')).toMatchObject({ hasTable: true })
    expect(readdirSync(join(opened.root, 'tables'))).toEqual(['l-1'])
    opened.store.transaction(() => opened.store.layers.delete('l-1'))
    expect([opened.store.layers.get('l-1'), readdirSync(join(opened.root, 'tables'))]).toEqual([undefined, []])
  })

  test('the id of a layer cannot name a file elsewhere', () => {
    expect(() => opened.store.snapshotDirectory('../../etc')).toThrow(/not the id of a layer/)
  })
})

describe('the store on disk', () => {
  test('it is an image layout that only its owner may read', () => {
    expect(readFileSync(join(opened.root, 'oci-layout'), 'utf8')).toBe('{"imageLayoutVersion":"1.0.0"}')
    expect(existsSync(join(opened.root, 'index.json'))).toBe(true)
  })

  test('a fresh root is private', async () => {
    const other = await openStore({ root: join(opened.root, 'sub/store') })
    expect(statSync(other.root).mode & 0o777).toBe(0o700)
    await other.close()
  })

  test('the root is taken from the environment', async () => {
    const other = await openStore({ env: { XDG_DATA_HOME: join(opened.root, 'data'), HOME: '/nowhere' } })
    expect(other.root).toBe(join(opened.root, 'data/ts-oci'))
    await other.close()
    const named = await openStore({
      env: { TSBUILD_HOME: join(opened.root, 'named'), XDG_DATA_HOME: join(opened.root, 'data') },
    })
    expect(named.root).toBe(join(opened.root, 'named'))
    await named.close()
  })

  test('a root that is a file is refused', async () => {
    writeFileSync(join(opened.root, 'file'), '')
    await expect(openStore({ root: join(opened.root, 'file') })).rejects.toThrow()
  })
})
