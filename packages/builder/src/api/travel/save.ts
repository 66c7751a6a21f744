import type { Writable } from 'node:stream'
import { BuilderError } from '../../base/errors.ts'
import { internalStep } from '../../build/internal-step.ts'
import { platformOption } from '../../build/platform-option.ts'
import type { CommonOptions, RegistryOptions } from '../../build/public-types.ts'
import { withTransportContext } from '../../build/transport-context.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Platform } from '../../oci/types.ts'
import { gather, platformSelection, type Selection } from '../../transports/bundle.ts'
import { convert, unmixing } from '../../transports/convert.ts'
import type { Bundle, SourceImage, TransportContext } from '../../transports/types.ts'

/**
 * What an archive is. `docker-archive`: what `docker load` reads, and an OCI image layout at once, as docker save writes it;
 * `oci-archive`: a layout alone; `oci-dir` and `docker-dir`: directories, the latter as skopeo's `dir:`.
 */
export type SaveFormat = 'docker-archive' | 'oci-archive' | 'oci-dir' | 'docker-dir'

export interface SaveOptions extends CommonOptions, RegistryOptions {
  /** File, of the `-dir` formats directory; default: `stdout`. */
  readonly output?: string | undefined
  readonly stdout?: Writable | undefined
  readonly format?: SaveFormat | undefined
  /** Of images for several platforms that one; default: all of them, as far as they are in the store. */
  readonly platform?: string | undefined
}

export interface SaveOutcome {
  readonly images: readonly { readonly digest: Digest; readonly names: readonly string[] }[]
}

/** See `api/save.ts`, which loads this when it is called. */
export async function save(images: readonly string[], options: SaveOptions = {}): Promise<SaveOutcome> {
  const { format = 'docker-archive', output = '-' } = options
  checkDestination(images, format, output)
  return internalStep(options.onProgress ?? (() => undefined), `saving ${images.join(', ')}`, (report) =>
    withTransportContext(
      options,
      (id, progress) => report(id, id, progress),
      async (context) => {
        const { readStoreImage } = await import('../../transports/store/read.ts')
        const platform = options.platform === undefined ? undefined : platformOption(options.platform)
        const bundles: Bundle[] = []
        for (const source of merged(await Promise.all(images.map((image) => readStoreImage(image, context)))))
          bundles.push(await gatherFor(source, platform, format, context))
        const written = await write(bundles, format, output, context)
        return { images: written.map(({ digest, names }) => ({ digest, names })) }
      },
    ),
  )
}

/** @throws OCI_OPTION_INVALID */
function checkDestination(images: readonly string[], format: SaveFormat, output: string): void {
  if (images.length === 0) throw new BuilderError('OCI_OPTION_INVALID', 'no image is named')
  if (format.endsWith('-dir') && output === '-')
    throw new BuilderError('OCI_OPTION_INVALID', `format ${format} needs a directory`, { hint: '-o DIRECTORY' })
  if (format === 'docker-dir' && images.length > 1)
    throw new BuilderError('OCI_OPTION_INVALID', 'format docker-dir has room for one image', {
      hint: 'use oci-dir, or a directory for each',
    })
}

/** Two names of one image are one image with two names. */
function merged(sources: readonly SourceImage[]): readonly SourceImage[] {
  const found = new Map<Digest, SourceImage>()
  for (const source of sources) {
    const { digest } = source.root.descriptor
    const names = [...new Set([...(found.get(digest)?.names ?? []), ...source.names])]
    found.set(digest, { ...source, names })
  }
  return [...found.values()]
}

async function gatherFor(
  source: SourceImage,
  platform: Platform | undefined,
  format: SaveFormat,
  context: TransportContext,
): Promise<Bundle> {
  const selection: Selection =
    platform === undefined && format !== 'docker-dir' ? { kind: 'all', isPartial: true } : platformSelection(platform)
  const bundle = await gather(source, selection, context.signal)
  if (platform !== undefined) await checkPlatform(bundle, platform, source)
  if (format === 'docker-dir') return convert(bundle, { format: 'docker' }, context)
  return format === 'docker-archive' ? convert(bundle, unmixing(bundle), context) : bundle
}

/** An image that stands alone may be for another platform than the one that was asked for. @throws OCI_PLATFORM_NOT_FOUND */
async function checkPlatform({ images }: Bundle, platform: Platform, { names }: SourceImage): Promise<void> {
  const [{ parseImageConfig }, { matchesPlatform }, { formatPlatform, normalizePlatform }] = await Promise.all([
    import('../../oci/image-config.ts'),
    import('../../oci/platform-match.ts'),
    import('../../oci/platform.ts'),
  ])
  const [config] = images.map((image) => parseImageConfig(image.config.bytes))
  if (config === undefined || matchesPlatform(config, platform)) return
  throw new BuilderError(
    'OCI_PLATFORM_NOT_FOUND',
    `${names[0] ?? 'the image'} is there, but does not provide the specified platform (${formatPlatform(platform)})`,
    { hint: `it is for ${formatPlatform(normalizePlatform(config))}` },
  )
}

async function write(bundles: readonly Bundle[], format: SaveFormat, output: string, context: TransportContext) {
  if (format === 'docker-archive' || format === 'oci-archive') {
    const { writeImageArchive } = await import('../../transports/archive/write.ts')
    return writeImageArchive(output, bundles, { isDocker: format === 'docker-archive' }, context)
  }
  if (format === 'docker-dir') {
    const { transport } = await import('../../transports/directory/directory.ts')
    return (await transport.target!(output, {}, context)).write(bundles)
  }
  const { writeLayouts } = await import('../../transports/layout/layout.ts')
  return writeLayouts(output, bundles, context.signal)
}
