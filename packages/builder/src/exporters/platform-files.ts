import { BuilderError } from '../base/errors.ts'
import { fromByteString, toByteString, type ByteString } from '../base/byte-string.ts'
import { formatPlatformFully } from '../oci/platform.ts'
import type { LayerEntry } from '../view/types.ts'
import { flatten } from './flatten.ts'
import type { ExportImage, ExportSource } from './types.ts'

/** An entry of an output of files. */
export interface PlatformFile {
  /** As it is written. */
  readonly entry: LayerEntry
  /** As its image has it, which `readFile` takes. */
  readonly original: LayerEntry
  readonly image: ExportImage
}

export interface PlatformFilesOptions {
  /** All times are set to it. */
  readonly epochSec: number | undefined
  /** The files of each image in a directory of their own, `linux_arm64`; default: where there are several images. */
  readonly isSplit?: boolean | undefined
}

/**
 * The files of all images, one image after the other. A platform that was asked for twice comes once.
 * @throws OCI_EXPORT_FAILED when two images that are not split have the same file
 */
export async function* platformFiles(
  source: ExportSource,
  { epochSec, isSplit = source.images.length > 1 }: PlatformFilesOptions,
): AsyncGenerator<PlatformFile, void, undefined> {
  const images = new Map(source.images.map((image) => [formatPlatformFully(image.image.platform), image]))
  const merge = createMerge(images.size > 1 && !isSplit)
  for (const [platform, image] of images) {
    const directory = isSplit ? toByteString(platform.replaceAll('/', '_')) : ''
    if (directory !== '') yield { ...inDirectory(directoryEntry(epochSec), directory), image }
    for (const original of flatten(await image.view(), epochSec))
      if (merge(original, platform)) yield { ...inDirectory(original, directory), image }
  }
}

function inDirectory(original: LayerEntry, directory: ByteString): Omit<PlatformFile, 'image'> {
  if (directory === '') return { entry: original, original }
  const below = (path: ByteString): ByteString => (path === '' ? directory : `${directory}/${path}`)
  const { type, link } = original
  const moved = type === 'hardlink' && link !== undefined ? { link: below(link) } : {}
  return { entry: { ...original, ...moved, path: below(original.path) }, original }
}

/** As BuildKit makes it: of no time where the build has none. */
function directoryEntry(epochSec: number | undefined): LayerEntry {
  return { path: '', type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeSec: epochSec ?? 0, mtimeNsec: 0 }
}

/** Whether an entry is still to be written: directories of several images are one. */
function createMerge(isNeeded: boolean): (entry: LayerEntry, platform: string) => boolean {
  const seen = new Map<ByteString, { readonly platform: string; readonly isDirectory: boolean }>()
  return ({ path, type }, platform) => {
    if (!isNeeded) return true
    const isDirectory = type === 'directory'
    const before = seen.get(path)
    if (before === undefined) return seen.set(path, { platform, isDirectory }) !== undefined
    if (before.isDirectory && isDirectory) return false
    throw new BuilderError(
      'OCI_EXPORT_FAILED',
      `cannot overwrite ${fromByteString(path)} from ${before.platform} with ${platform} when split option is disabled`,
      { hint: 'leave platform-split=false out: each platform gets a directory of its own' },
    )
  }
}
