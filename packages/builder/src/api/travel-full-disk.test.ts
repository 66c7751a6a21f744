import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { checkTool, describeWith, mountSmallDisk, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { configOf, layerOf, writeArchiveFile } from './archives.test.helper.ts'
import { copy } from './copy.ts'
import { exportFiles } from './export-files.ts'
import { images } from './images.ts'
import { importImage } from './import-image.ts'
import { load } from './load.ts'

const DISK_BYTES = 16 * 1024 * 1024

// A small archive may hold more than the disk has room for.
describeWith(['root', 'mkfs.ext4', 'losetup', 'xz'], 'an archive that is larger inside than the disk', () => {
  const storeFull = { code: 'OCI_STORE_FULL', message: expect.stringContaining('no space left for the store') }
  const layer = layerOf('zeros', '\0'.repeat(40 << 20))
  let directory: TemporaryDirectory
  beforeEach(async () => {
    directory = await temporaryDirectory()
  })
  afterEach(async () => directory[Symbol.asyncDispose]())

  function archiveWith(packed: Uint8Array): string {
    return writeArchiveFile(directory.join('a.tar'), [
      { name: 'c.json', data: configOf([layer]) },
      { name: 'l', data: packed },
      { name: 'manifest.json', data: JSON.stringify([{ Config: 'c.json', RepoTags: ['big:1'], Layers: ['l'] }]) },
    ])
  }

  async function expectEmpty(store: string): Promise<void> {
    expect(readdirSync(join(store, 'tmp'))).toEqual([])
    expect(await images({ store })).toEqual([])
  }

  test('is one clear error to load with a layer that is stored plain, and nothing is left', async () => {
    await using disk = await mountSmallDisk(DISK_BYTES)
    const store = join(disk.path, 'store')
    writeFileSync(directory.join('l'), layer)
    await checkTool('xz', ['-0', directory.join('l')])
    const input = archiveWith(readFileSync(directory.join('l.xz')))
    await expect(load({ store, input })).rejects.toMatchObject(storeFull)
    await expectEmpty(store)
  })

  test('is one clear error to import', async () => {
    await using disk = await mountSmallDisk(DISK_BYTES)
    const store = join(disk.path, 'store')
    writeFileSync(directory.join('l.gz'), gzipSync(layer))
    await expect(importImage(directory.join('l.gz'), { store })).rejects.toMatchObject(storeFull)
    await expectEmpty(store)
  })

  test('is one clear error to copy with plain layers', async () => {
    await using disk = await mountSmallDisk(DISK_BYTES)
    const store = join(disk.path, 'store')
    const source = `docker-archive:${archiveWith(gzipSync(layer))}`
    const failure = copy(source, `oci:${directory.join('out')}`, { store, compression: 'none' })
    await expect(failure).rejects.toMatchObject(storeFull)
    await expectEmpty(store)
  })

  test('is loaded where its layers stay compressed, and one clear error to export', async () => {
    await using disk = await mountSmallDisk(DISK_BYTES)
    const store = join(disk.path, 'store')
    await load({ store, input: archiveWith(gzipSync(layer)) })
    const output = directory.join('files.tar')
    await expect(exportFiles('big:1', { store, output })).rejects.toMatchObject(storeFull)
    expect(readdirSync(join(store, 'tmp'))).toEqual([])
    expect(readdirSync(directory.path)).toEqual(['a.tar'])
  })
})
