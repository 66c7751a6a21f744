import { mkdir } from 'node:fs/promises'
import { checkTool } from './command.ts'
import { temporaryDirectory } from './temporary.ts'

export interface OverlayDisk extends AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string
}

/**
 * A directory on an overlay, as the own disk of a container is: no other overlay can write there. With a size it lies on a
 * tmpfs that has no more room. Needs `root`, `mount` and `umount`.
 */
export async function mountOverlayDisk(sizeBytes?: number): Promise<OverlayDisk> {
  const directory = await temporaryDirectory('ts-oci-overlay-')
  await mkdir(directory.join('mnt'))
  await mkdir(directory.join('disk'))
  const disk = directory.join('disk')
  if (sizeBytes !== undefined) await checkTool('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', disk])
  for (const name of ['lower', 'upper', 'work']) await mkdir(`${disk}/${name}`)
  const layers = `lowerdir=${disk}/lower,upperdir=${disk}/upper,workdir=${disk}/work`
  await checkTool('mount', ['-t', 'overlay', '-o', layers, 'overlay', directory.join('mnt')])
  return {
    path: directory.join('mnt'),
    [Symbol.asyncDispose]: async () => {
      await checkTool('umount', [directory.join('mnt')])
      if (sizeBytes !== undefined) await checkTool('umount', [disk])
      await directory[Symbol.asyncDispose]()
    },
  }
}
