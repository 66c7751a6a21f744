import { internalStep } from '../../build/internal-step.ts'
import { platformOption } from '../../build/platform-option.ts'
import type { CommonOptions } from '../../build/public-types.ts'
import { withTransportContext } from '../../build/transport-context.ts'
import type { Digest } from '../../oci/digest.ts'
import { formatFamiliar, parseReference } from '../../oci/reference.ts'
import { gather, type Selection } from '../../transports/bundle.ts'
import type { FileSet } from '../../transports/archive/file-set.ts'
import type { SourceImage, TransportContext } from '../../transports/types.ts'

export interface LoadOptions extends CommonOptions {
  /** File or directory, `-` for `stdin`; default: `stdin`. */
  readonly input?: string | undefined
  readonly stdin?: AsyncIterable<Uint8Array> | undefined
  /** Of images for several platforms that one; default: all that the archive has. */
  readonly platform?: string | undefined
}

export interface LoadedImage {
  /** As people write them: `my-app:latest`; none where the archive keeps none. */
  readonly names: readonly string[]
  /** Config digest; of an index its own. */
  readonly id: Digest
  /** Of the manifest or index. */
  readonly digest: Digest
}

/** See `api/load.ts`, which loads this when it is called. */
export async function load(options: LoadOptions = {}): Promise<readonly LoadedImage[]> {
  const { input = '-' } = options
  return internalStep(options.onProgress ?? (() => undefined), `loading ${input}`, (report) =>
    withTransportContext(
      options,
      (id, progress) => report(id, id, progress),
      async (context) => {
        const { openArchive } = await import('../../transports/archive/open.ts')
        await using files = await openArchive(input, context)
        const images = await imagesOf(files, context)
        const selection: Selection =
          options.platform === undefined
            ? { kind: 'all', isPartial: true }
            : { kind: 'platform', platform: platformOption(options.platform) }
        const { writeToStore } = await import('../../transports/store/write.ts')
        // All are read before the first is written: an archive that is bad as a whole gives nothing.
        const bundles = []
        for (const image of images) bundles.push(await gather(image, selection, context.signal))
        const loaded: LoadedImage[] = []
        for (const bundle of bundles) {
          const { names, digest, id } = await writeToStore(bundle, context)
          loaded.push({
            names: names.map((name) => formatFamiliar(parseReference(name))),
            digest,
            id,
          })
        }
        return loaded
      },
    ),
  )
}

async function imagesOf(files: FileSet, context: TransportContext): Promise<readonly SourceImage[]> {
  // What podman save --format docker-dir and skopeo's dir: write.
  if (files.find('version') !== undefined && files.find('manifest.json') !== undefined && !isDockerList(files)) {
    const { openDirectory } = await import('../../transports/directory/directory.ts')
    return [await openDirectory(files.name)]
  }
  const { archiveImages } = await import('../../transports/archive/docker-archive.ts')
  return archiveImages(files, context)
}

/** An unpacked archive of an old Docker has files called `VERSION`, in directories of layers. */
function isDockerList(files: FileSet): boolean {
  return files.find('repositories') !== undefined || files.find('oci-layout') !== undefined
}
