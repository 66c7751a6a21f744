import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
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
