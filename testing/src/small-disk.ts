import { copyFile, mkdir, truncate, writeFile } from 'node:fs/promises'
import { checkTool } from './command.ts'
import { temporaryDirectory } from './temporary.ts'

export interface SmallDisk extends AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string
  /** The same disk as it is found after the power fails now: with what reached it, and without what only memory holds. */
  afterPowerLoss(): Promise<SmallDisk>
}

/** An ext4 of `sizeBytes` on a loop device, to see what a full disk does; needs `root`, `mkfs.ext4` and `losetup`. */
export async function mountSmallDisk(sizeBytes: number): Promise<SmallDisk> {
  return mountImage(async (image) => {
    await writeFile(image, '')
    await truncate(image, sizeBytes)
    await checkTool('mkfs.ext4', ['-q', '-F', '-m', '0', image])
  })
}

async function mountImage(make: (image: string) => Promise<void>): Promise<SmallDisk> {
  const directory = await temporaryDirectory('ts-oci-disk-')
  const image = directory.join('image')
  const path = directory.join('mnt')
  await mkdir(path)
  await make(image)
  // A commit of its own accord comes after minutes: what is on the disk was brought there by somebody.
  await checkTool('mount', ['-o', 'loop,commit=300', image, path])
  return {
    path,
    afterPowerLoss: () => mountImage((copy) => copyFile(image, copy)),
    [Symbol.asyncDispose]: async () => {
      await checkTool('umount', [path])
      await directory[Symbol.asyncDispose]()
    },
  }
}
