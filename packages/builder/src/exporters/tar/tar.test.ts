import { existsSync, readdirSync, statSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { checkTool, describeWith, mountSmallDisk, temporaryDirectory } from '@ts-oci/testing'
import { entry, exportFixture, testImage, type ExportFixture, type TestImage } from '../memory-image.test.helper.ts'

let fixture: ExportFixture
let directory: ExportFixture['directory']
let image: TestImage
let exportTo: ExportFixture['exportTo']

beforeEach(async () => {
  fixture = await exportFixture()
  ;({ directory, image, exportTo } = fixture)
})
afterEach(async () => fixture[Symbol.asyncDispose]())

describe('type=tar', () => {
  test('it holds the merged file system', async () => {
    await exportTo({ type: 'tar', dest: 'root.tar' })
    const listing = await checkTool('tar', [
      '--numeric-owner',
      '--utc',
      '--full-time',
      '-tvf',
      directory.join('root.tar'),
    ])
    expect(
      listing
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/\s+/g, ' ')),
    ).toEqual([
      'drwxr-xr-x 0/0 0 2020-09-13 12:26:40 bin/',
      '-rwsr-xr-x 0/0 10 2017-07-14 02:40:00 bin/tool',
      'hrwsr-xr-x 0/0 0 2017-07-14 02:40:00 bin/twin link to bin/tool',
      'drwxr-x--- 0/0 0 2020-09-13 12:26:40 etc/',
      '-rw-r--r-- 0/0 0 2020-09-13 12:26:40 etc/empty',
      'lrwxrwxrwx 0/0 0 2020-09-13 12:26:40 etc/link -> ../bin/tool',
      '-rw-r--r-- 0/0 3 2020-09-13 12:26:40 etc/new',
      '-rw-r--r-- 1000/2000 2 2020-09-13 12:26:40 etc/näme',
      '-rw-r--r-- 0/0 1 2020-09-13 12:26:40 gone',
    ])
    expect(statSync(directory.join('root.tar')).size % 512).toBe(0)
  })

  test('an epoch is the time of every entry', async () => {
    await exportTo({ type: 'tar', dest: 'root.tar' }, { defaults: { sourceDateEpoch: 0 } })
    const listing = await checkTool('tar', ['--utc', '-tvf', directory.join('root.tar')])
    expect(listing.match(/1970-01-01 00:00/g)).toHaveLength(9)
  })

  test('content that is shorter than its entry fails and leaves nothing', async () => {
    const short: TestImage = {
      ...image,
      readFile: async function* () {
        yield Buffer.from('x')
      },
    }
    await expect(exportTo({ type: 'tar', dest: 'root.tar' }, { from: short })).rejects.toMatchObject({
      code: 'OCI_EXPORT_FAILED',
    })
    expect(existsSync(directory.join('root.tar'))).toBe(false)
  })
})

describeWith(['root', 'mkfs.ext4', 'losetup'], 'a full disk', () => {
  test('one clear error, and nothing half-written', async () => {
    await using disk = await mountSmallDisk(2 * 1024 * 1024)
    await using other = await temporaryDirectory()
    const big = testImage({ layers: [[entry('big', { text: 'x'.repeat(4 * 1024 * 1024) })]], directory: other.path })
    await expect(exportTo({ type: 'tar', dest: `${disk.path}/root.tar` }, { from: big })).rejects.toMatchObject({
      code: 'OCI_EXPORT_FAILED',
    })
    expect(readdirSync(disk.path)).toEqual(['lost+found'])
  })
})
