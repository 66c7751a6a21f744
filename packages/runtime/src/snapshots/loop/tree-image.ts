import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { errnoName, errnoText } from '../../errno.ts'
import { RuntimeError } from '../../errors.ts'
import { addon, check } from '../../files/call.ts'
import { syncFileSystem } from '../../files/content.ts'
import { closeFd, OpenFlags, openPath, openRoot } from '../../files/open.ts'
import { addPrivateMount, removePrivateMount } from '../../files/private-mounts.ts'
import type { ImagePlace, TreeImage } from '../types.ts'
import { findImageFile, isSound, makeImageFile, prepareImageDirectory } from './image-file.ts'
import { enterUsers, hadDeadUsers, whileAlone } from './image-users.ts'

/** Finds the image of a directory, or makes one, and mounts it. Throws OCI_RUNTIME_UNSUPPORTED, OCI_RUNTIME_FILES. */
export async function openTreeImage(place: ImagePlace): Promise<TreeImage> {
  const { imageDirectory: directory, bootId, signal } = place
  const at = prepareImageDirectory(directory)
  return whileAlone(directory, signal, async () => {
    let name = findImageFile(directory, bootId)
    // A kill in the moment in which the disk was full may have lost what says which blocks are free.
    if (name !== undefined && hadDeadUsers(directory) && !(await isUsable(directory, name))) {
      rmSync(join(directory, name))
      name = undefined
    }
    name ??= await makeImageFile(directory, bootId, signal)
    return mounted(directory, name, at)
  })
}

async function isUsable(directory: string, name: string): Promise<boolean> {
  const path = join(directory, name)
  const image = openPath(path, OpenFlags.read | OpenFlags.noFollow)
  const scratch = openRoot(directory)
  try {
    // What others have mounted is theirs to judge.
    return addon().isImageMounted(image, scratch) === 1 || (await isSound(path))
  } finally {
    closeFd(scratch)
    closeFd(image)
  }
}

function mounted(directory: string, name: string, at: string): TreeImage {
  const path = join(directory, name)
  const mount = { at, fd: mountImage(directory, path) }
  addPrivateMount(mount)
  // A failure to write is told once to each descriptor that was open before.
  const root = openRoot(at)
  const user = enterUsers(directory)
  let isOpen = true
  return {
    name,
    at,
    mountAgain: () => mountImage(directory, path),
    sync: () => syncFileSystem(root),
    trim: () => void check(addon().trim(root), 'trim', at),
    discard: () => rmSync(path, { force: true }),
    close: () => {
      if (!isOpen) return
      isOpen = false
      removePrivateMount(mount)
      closeFd(root)
      closeFd(mount.fd)
      user.leave()
    },
  }
}

function mountImage(directory: string, path: string): number {
  const image = openPath(path, OpenFlags.readWrite | OpenFlags.noFollow)
  const scratch = openRoot(directory)
  try {
    const result = addon().mountImage(image, scratch)
    if (typeof result === 'number' && result >= 0) return result
    const [error, operation] = typeof result === 'number' ? [-result, 'mount'] : [-result[0], result[1]]
    throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `${operation}: ${errnoText(error)}`, {
      details: { operation, errno: errnoName(error) },
    })
  } finally {
    closeFd(scratch)
    closeFd(image)
  }
}
