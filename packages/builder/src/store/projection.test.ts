import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from '@jest/globals'
import { imageQueries } from './images.ts'
import { addImage } from './store-rows.test.helper.ts'
import { openedStore } from './opened-store.test.helper.ts'

const opened = openedStore()

const indexPath = (): string => join(opened.root, 'index.json')

function namesInIndex(): readonly string[] {
  const { manifests } = JSON.parse(readFileSync(indexPath(), 'utf8')) as {
    manifests: readonly { annotations: Readonly<Record<string, string>> }[]
  }
  return manifests.map(({ annotations }) => annotations['io.containerd.image.name'] ?? '')
}

test('a new name costs no look into the manifests of the images that are there', () => {
  const first = addImage(opened.store, 'docker.io/library/a:1', 'one')
  // Whoever read it now would not list it.
  const path = opened.store.blobs.path(first.manifestDigest)
  writeFileSync(path, 'x'.repeat(statSync(path).size))
  addImage(opened.store, 'docker.io/library/b:1', 'two')
  expect(namesInIndex()).toEqual(['docker.io/library/a:1', 'docker.io/library/b:1'])
})

test('an image whose manifest is gone is not in index.json, although it was there before', () => {
  const { manifestDigest } = addImage(opened.store, 'docker.io/library/a:1', 'one')
  rmSync(opened.store.blobs.path(manifestDigest))
  addImage(opened.store, 'docker.io/library/b:1', 'two')
  expect(namesInIndex()).toEqual(['docker.io/library/b:1'])
})

test('where a registry has an image is noted without writing index.json anew', () => {
  const { name } = addImage(opened.store, 'docker.io/library/a:1', 'one')
  const before = statSync(indexPath(), { bigint: true })
  const repoDigests = [`docker.io/library/a@sha256:${'1'.repeat(64)}`]
  opened.store.images.update(name, (image) => ({ ...image, repoDigests }))
  expect(opened.store.images.get(name)?.repoDigests).toEqual(repoDigests)
  expect(statSync(indexPath(), { bigint: true }).ino).toBe(before.ino)
})

describe('an image without a name', () => {
  const none = (image: { readonly configDigest: string }): string => `<none>@${image.configDigest}`

  test('is a row alone: index.json names those that have one', () => {
    const old = addImage(opened.store, 'docker.io/library/a:1', 'one')
    addImage(opened.store, 'docker.io/library/a:1', 'two')
    expect(opened.store.images.get(none(old))).toBeDefined()
    expect(namesInIndex()).toEqual(['docker.io/library/a:1'])
  })

  test('comes and goes without index.json being written', () => {
    const { images } = addImage(opened.store, 'docker.io/library/a:1', 'one')
    const { ino } = statSync(indexPath(), { bigint: true })
    const nameless = addImage(opened.store, `<none>@${images[0].configDigest}`, 'one')
    opened.store.images.remove(nameless.name)
    expect(opened.store.images.list().map(({ name }) => name)).toEqual(['docker.io/library/a:1'])
    expect(statSync(indexPath(), { bigint: true }).ino).toBe(ino)
  })

  test('that an older version listed is not taken for one of another tool', async () => {
    const old = addImage(opened.store, 'docker.io/library/a:1', 'one')
    addImage(opened.store, 'docker.io/library/a:1', 'two')
    const index = JSON.parse(readFileSync(indexPath(), 'utf8'))
    const { mediaType, size } = index.manifests[0]
    // As such a store looks after another tool has added to it: without our signature.
    index.manifests.push({ mediaType, size, digest: old.manifestDigest, annotations: {} })
    writeFileSync(indexPath(), JSON.stringify({ schemaVersion: 2, manifests: index.manifests }))
    await opened.reopen()
    expect(opened.store.images.get(none(old))?.origin).toBe('built')
    expect(namesInIndex()).toEqual(['docker.io/library/a:1'])
    opened.store.images.remove(none(old))
    await opened.reopen()
    expect(opened.store.images.list().map(({ name }) => name)).toEqual(['docker.io/library/a:1'])
  })

  test('no query for another image looks at it, however many there are', () => {
    const database = new DatabaseSync(join(opened.root, 'meta.sqlite'))
    for (const sql of imageQueries)
      for (const { detail } of database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all())
        expect(detail).not.toMatch(/^SCAN images(?! USING (COVERING )?INDEX images_(platforms|repositories))/)
    database.close()
  })
})
