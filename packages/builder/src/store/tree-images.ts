import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, isImageFile, localPath, openTreeImage, type TreeImage } from '@ts-oci/runtime'
import { noRoomError, unusable } from '../base/disk-errors.ts'
import type { TemporaryNames } from './temporary.ts'
import type { TemporaryDirectory } from './types.ts'
import { imagePaths, type StorePaths } from './paths.ts'

/** The image in which trees lie where the disk of the store takes no overlay; mounted when a step, or a prune, needs it. */
export interface TreeImages {
  adopt(image: TreeImage): void
  /** Mounts the one that is there, if any; what cannot be mounted here is left as it is. */
  openPresent(): Promise<void>
  /** In the one that is mounted. */
  createDirectory(names: TemporaryNames, prefix: string): TemporaryDirectory
  /** Where its trees lie, and what is not finished; undefined while none is mounted. */
  mounted(): Pick<StorePaths, 'snapshots' | 'tmp'> | undefined
  has(name: string): boolean
  isMounted(name: string): boolean
  /** @throws OCI_STORE_FULL, OCI_STORE_UNUSABLE */
  sync(): void
  trim(): void
  close(): void
}

/** @param sweep removes what dead processes left in a directory for what is not finished */
export function createTreeImages(paths: StorePaths, bootId: () => string, sweep: (tmp: string) => void): TreeImages {
  let image: TreeImage | undefined

  function adopt(opened: TreeImage): void {
    // Of an executor that did not come up, or of a prune: all lead to the same trees.
    image?.close()
    image = opened
    const { snapshots, tmp } = imagePaths(opened.at)
    for (const path of [snapshots, tmp]) mkdirSync(localPath(path), { recursive: true, mode: 0o700 })
    sweep(tmp)
  }

  return {
    adopt,
    async openPresent() {
      if (image !== undefined || !isAnyImage(paths.image)) return
      const opened = await openTreeImage({ imageDirectory: paths.image, bootId: bootId() }).catch(() => undefined)
      if (opened !== undefined) adopt(opened)
    },
    mounted: () => (image === undefined ? undefined : imagePaths(image.at)),
    createDirectory(names, prefix) {
      const { path, ...directory } = names.createDirectory(prefix, imagePaths(image!.at).tmp)
      const remove = (): Promise<void> => Promise.resolve(directory[Symbol.asyncDispose]())
      // Where the disk beneath is full the image may have become read-only: what led there is to be told, not this.
      return { path, [Symbol.asyncDispose]: () => remove().catch(() => image?.discard()) }
    },
    has: (name) => isImageFile(paths.image, name, bootId()),
    isMounted: (name) => image?.name === name,
    sync() {
      try {
        image?.sync()
      } catch (cause) {
        // Which of its trees are whole nobody knows.
        image?.discard()
        const error = noRoomError(
          paths.root,
          errnoOf(cause) === 'EIO' ? Object.assign(new Error(), { code: 'ENOSPC', cause }) : cause,
        )
        if (error !== cause) throw error
        throw unusable(paths.root, 'its image of trees cannot be written', cause, 'see the kernel log')
      }
    },
    trim: () => image?.trim(),
    close() {
      image?.close()
      image = undefined
    },
  }
}

function isAnyImage(directory: string): boolean {
  return existsSync(directory) && readdirSync(directory).some((name) => name.endsWith('.ext4'))
}

/** Where a tree lies: of an image by the path that this has when it is mounted. */
export function treeDirectory(paths: StorePaths, image: string | undefined): string {
  return image === undefined ? paths.snapshots : imagePaths(join(paths.image, 'at')).snapshots
}
