import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { describeWith, mountSmallDisk, type SmallDisk } from '@ts-oci/testing'
import { digestOf, type DiffID } from '../oci/digest.ts'
import { validateLayout } from '../oci/validate.test.helper.ts'
import { addImage, layer } from './store-rows.test.helper.ts'
import { openStore } from './store.ts'
import type { Store } from './types.ts'

const ENTRIES = [
  { path: 'file', type: 'file', mode: 0o644, uid: 0, gid: 0, size: 1, mtimeSec: 1, mtimeNsec: 0 },
] as const

/** A tar of a step, as the end of that step leaves it. */
async function addTar(store: Store, id: string): Promise<DiffID> {
  const writer = store.blobs.createWriter()
  await writer.write(Buffer.alloc(300_000, id))
  const { digest, sizeBytes } = await writer.commit()
  const diffId = digest as string as DiffID
  store.layers.writeTable(id, { entries: ENTRIES })
  store.layers.put(layer(id, { diffId, tarSizeBytes: sizeBytes, hasTar: true, hasTable: true }))
  return diffId
}

const storeOn = (disk: SmallDisk, boot: string): Promise<Store> =>
  openStore({ root: join(disk.path, 'store'), bootId: () => boot })

describeWith(['root', 'mkfs.ext4', 'losetup'], 'when the power fails', () => {
  test('a name is kept that was given inside a larger transaction', async () => {
    await using disk = await mountSmallDisk(32 << 20)
    await using store = await storeOn(disk, 'first')
    const image = addImage(store, 'docker.io/library/one:latest', 'tar')
    store.transaction(() => store.images.put({ ...image, name: 'docker.io/library/two:latest' }))
    await using after = await disk.afterPowerLoss()
    await using found = await storeOn(after, 'second')
    expect(found.images.list().map(({ name }) => name)).toEqual(
      expect.arrayContaining(['docker.io/library/one:latest', 'docker.io/library/two:latest']),
    )
    expect(await validateLayout(found.root)).toEqual([])
  })

  test('a row counts for no file of a step that did not reach the disk, and for all that a sync brought there', async () => {
    await using disk = await mountSmallDisk(32 << 20)
    await using store = await storeOn(disk, 'first')
    addImage(store, 'docker.io/library/old:latest', 'old')
    const before = await addTar(store, 'l-before')
    store.sync()
    const later = await addTar(store, 'l-later')
    // The rows go to the disk with those of somebody who needs no more than that.
    store.images.remove('docker.io/library/old:latest')
    expect(store.layers.get('l-later')).toMatchObject({ hasTar: true, hasTable: true })
    await using after = await disk.afterPowerLoss()
    await using found = await storeOn(after, 'second')
    expect(found.layers.get('l-before')).toMatchObject({ diffId: before, hasTar: true, hasTable: true })
    expect(digestOf(readFileSync(found.blobs.path(before as never)))).toBe(before)
    expect(found.layers.readTable('l-before')?.entries).toEqual(ENTRIES)
    expect(found.layers.get('l-later')).toMatchObject({ diffId: later, hasTar: false, hasTable: false })
  })

  test('an image is named with all of its layers on the disk, whoever made them', async () => {
    await using disk = await mountSmallDisk(32 << 20)
    await using store = await storeOn(disk, 'first')
    const diffId = await addTar(store, 'l-own')
    const image = addImage(store, 'docker.io/library/one:latest', 'tar')
    store.images.put({
      ...image,
      name: 'docker.io/library/two:latest',
      images: [{ ...image.images[0], layerIds: ['l-own'] }],
    })
    await using after = await disk.afterPowerLoss()
    await using found = await storeOn(after, 'second')
    expect(found.images.get('docker.io/library/two:latest')?.images[0].layerIds).toEqual(['l-own'])
    expect(found.layers.get('l-own')).toMatchObject({ hasTar: true })
    expect(digestOf(readFileSync(found.blobs.path(diffId as never)))).toBe(diffId)
  })
})
