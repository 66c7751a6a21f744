import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { testWith } from './requirements.ts'
import { mountSmallDisk } from './small-disk.ts'

testWith(['root', 'mkfs.ext4', 'losetup'], 'a small disk is full when it is full', async () => {
  await using disk = await mountSmallDisk(8 << 20)
  await expect(writeFile(join(disk.path, 'large'), Buffer.alloc(16 << 20))).rejects.toMatchObject({ code: 'ENOSPC' })
})
