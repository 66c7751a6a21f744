import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { checkTool } from './command.ts'
import { temporaryDirectory } from './temporary.ts'

export interface SmallDisk extends AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string
}

/** An ext4 of `sizeBytes` on a loop device, to see what a full disk does; needs `root`, `mkfs.ext4` and `losetup`. */
export async function mountSmallDisk(sizeBytes: number): Promise<SmallDisk> {
  const directory = await temporaryDirectory('ts-oci-disk-')
  const image = directory.join('image')
  const path = directory.join('mnt')
  await writeFile(image, '')
  await truncate(image, sizeBytes)
  await mkdir(path)
  await checkTool('mkfs.ext4', ['-q', '-F', '-m', '0', image])
  await checkTool('mount', ['-o', 'loop', image, path])
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await checkTool('umount', [path])
      await directory[Symbol.asyncDispose]()
    },
  }
}
