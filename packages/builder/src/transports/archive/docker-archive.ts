import { BuilderError } from '../../base/errors.ts'
import { canonicalName } from '../../oci/reference.ts'
import { splitPath } from '../split-path.ts'
import type { SourceImage, Transport, TransportContext } from '../types.ts'
import { dockerImages } from './docker-images.ts'
import type { FileSet } from './file-set.ts'
import { isLayout, layoutImages } from './layout-images.ts'
import { openArchive } from './open.ts'
import { writeImageArchive } from './write.ts'

/** `docker-archive:FILE[:NAME[:TAG]]` or `:@INDEX`: what docker save writes. */
export const transport: Transport = {
  async open(rest, _options, context) {
    const [path, name] = splitPath('docker-archive', rest)
    const files = await openArchive(path, context)
    const images = await archiveImages(files, context)
    return { images: [choose(files, images, name)], [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() }
  },
  async target(rest, _options, context) {
    const [path, name] = splitPath('docker-archive', rest)
    const names = name === undefined ? [] : [canonicalName(name)]
    return {
      takesIndex: false,
      wantsCompressed: false,
      wantsUniform: true,
      write: (bundles) =>
        writeImageArchive(
          path,
          bundles.map((bundle) => ({ ...bundle, names })),
          { isDocker: true },
          context,
        ),
    }
  },
}

/**
 * All images of an archive. Where it is a layout as well, that counts, as containerd reads it: it keeps manifests, and so
 * their digests.
 */
export async function archiveImages(files: FileSet, context: TransportContext): Promise<readonly SourceImage[]> {
  return isLayout(files) ? layoutImages(files) : dockerImages(files, context)
}

function choose(files: FileSet, images: readonly SourceImage[], name: string | undefined): SourceImage {
  const index = /^@(\d+)$/.exec(name ?? '')?.[1]
  const wanted = name === undefined || index !== undefined ? undefined : canonicalName(name)
  const found =
    index !== undefined
      ? images.slice(Number(index)).slice(0, 1)
      : images.filter(({ names }) => wanted === undefined || names.includes(wanted))
  if (found.length === 1) return found[0]!
  const names = images.flatMap((image) => image.names)
  throw new BuilderError(
    'OCI_IMAGE_NOT_FOUND',
    found.length > 1
      ? `${files.name} has ${found.length} images: name one`
      : `${files.name} has no image ${name ?? ''}`,
    { hint: names.length === 0 ? `name it by its place: @0 to @${images.length - 1}` : `it has ${names.join(', ')}` },
  )
}
