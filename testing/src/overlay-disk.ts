import { mkdir } from 'node:fs/promises'
import { checkTool } from './command.ts'
import { temporaryDirectory } from './temporary.ts'

export interface OverlayDisk extends AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string
}

/** A directory on an overlay, as the own disk of a container is: no other overlay can write there. Needs `root` and `mount`. */
export async function mountOverlayDisk(): Promise<OverlayDisk> {
  const directory = await temporaryDirectory('ts-oci-overlay-')
  for (const name of ['lower', 'upper', 'work', 'mnt']) await mkdir(directory.join(name))
  const layers = `lowerdir=${directory.join('lower')},upperdir=${directory.join('upper')},workdir=${directory.join('work')}`
  await checkTool('mount', ['-t', 'overlay', '-o', layers, 'overlay', directory.join('mnt')])
  return {
    path: directory.join('mnt'),
    [Symbol.asyncDispose]: async () => {
      await checkTool('umount', [directory.join('mnt')])
      await directory[Symbol.asyncDispose]()
    },
  }
}
