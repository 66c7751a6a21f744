import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BuilderError } from '../../base/errors.ts'
import { writeLayoutDirectory } from '../../exporters/oci/directory.ts'
import { canonicalName } from '../../oci/reference.ts'
import { openFileDirectory } from '../archive/directory-files.ts'
import type { FileSet } from '../archive/file-set.ts'
import { isLayout, layoutImages, type LayoutImage } from '../archive/layout-images.ts'
import { splitPath } from '../split-path.ts'
import type { Bundle, Transport, WrittenImage } from '../types.ts'
import { layoutEntries, layoutFiles, writtenImage } from './layout-files.ts'

/** `oci:DIRECTORY[:NAME]`: an OCI image layout. */
export const transport: Transport = {
  async open(rest) {
    const [path, name] = splitPath('oci', rest)
    const status = await stat(path).catch(() => undefined)
    if (status?.isDirectory() !== true)
      throw new BuilderError('OCI_IMAGE_NOT_FOUND', `oci:${rest}: there is no directory ${path}`)
    const files = openFileDirectory(path)
    if (!isLayout(files))
      throw new BuilderError(
        'OCI_ARCHIVE_INVALID',
        `${path} is no OCI image layout: it has no oci-layout and index.json`,
      )
    return { images: [await chooseImage(files, name)], [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() }
  },
  async target(rest, _options, context) {
    const [path, name] = splitPath('oci', rest)
    return {
      takesIndex: true,
      wantsCompressed: false,
      write: ([bundle]) => writeLayouts(path, [{ ...bundle!, names: [] }], context.signal, name),
    }
  },
}

/** Adds images to a layout, or makes one. `word`: what it calls the one image, instead of its names. */
export async function writeLayouts(
  path: string,
  bundles: readonly Bundle[],
  signal: AbortSignal,
  word?: string,
): Promise<readonly WrittenImage[]> {
  const files = await layoutFiles(bundles, { isDocker: false, word })
  const entries = bundles.flatMap((bundle) => layoutEntries(bundle, word))
  await writeLayoutDirectory(resolve(path), files, entries, signal)
  return bundles.map(writtenImage)
}

/** The image of a layout that a name means; without one the only image. @throws OCI_IMAGE_NOT_FOUND */
export async function chooseImage(files: FileSet, name: string | undefined): Promise<LayoutImage> {
  const images = await layoutImages(files)
  const found = name === undefined ? images : images.filter((image) => isCalled(image, name))
  if (found.length === 1) return found[0]!
  const words = [...new Set(images.flatMap((image) => image.words))]
  const hint = words.length === 0 ? 'it names none of its images' : `it has ${words.join(', ')}`
  const what =
    found.length > 1
      ? `${files.name} has ${found.length} images${name === undefined ? '' : ` called ${name}`}: name one`
      : `${files.name} has no image${name === undefined ? '' : ` called ${name}`}`
  throw new BuilderError('OCI_IMAGE_NOT_FOUND', what, { hint })
}

function isCalled({ words, names }: LayoutImage, name: string): boolean {
  if (words.includes(name)) return true
  try {
    return names.includes(canonicalName(name))
  } catch {
    return false
  }
}
