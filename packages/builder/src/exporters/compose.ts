import { BuilderError } from '../base/errors.ts'
import { assembleImage, type AssembledImage } from '../image/assemble.ts'
import type { Compression } from '../oci/media-types.ts'
import type { Digest } from '../oci/digest.ts'
import { isSamePlatform } from '../oci/platform-match.ts'
import { formatPlatform, parsePlatform } from '../oci/platform.ts'
import type { Descriptor } from '../oci/types.ts'
import type { ImageSettings } from './image-settings.ts'
import type { ExportContext, ExportPart, ExportImage, ProvidedLayer, WantedForm, BlobFile } from './types.ts'

/** An image in the form that an output wants: the bytes of its documents, and where its layers are. */
export interface ComposedImage extends AssembledImage {
  readonly layers: readonly ProvidedLayer[]
}

export interface ComposeOptions {
  readonly settings: ImageSettings
  /** For layers that have no blob yet, where `settings` asks for nothing. */
  readonly defaultCompression: Compression | 'stored'
  /** A base that was not fetched may stay away. */
  readonly descriptorOnly?: boolean
}

/** Converts the layers, all at once, and writes config and manifest over them. */
export async function composeImage(
  source: ExportImage,
  context: ExportContext,
  options: ComposeOptions,
): Promise<ComposedImage> {
  const { settings } = options
  checkPlatforms(source, settings)
  const layers = await reported(context, 'exporting layers', () =>
    Promise.all(
      Array.from({ length: source.layers.count }, (_, index) =>
        source.layers.provide(index, wantedForm(options), context.signal),
      ),
    ),
  )
  const image = assembleImage({
    image: source.image,
    layers: layers.map((provided, index) => {
      const { createdMs, description, isBase } = source.layers.layer(index)
      return {
        diffId: provided.diffId,
        descriptor: annotate(provided.descriptor, settings, isBase),
        createdMs,
        description,
      }
    }),
    mediaTypes: settings.mediaTypes,
    sourceDateEpoch: settings.sourceDateEpoch,
    annotations: settings.annotations,
    inlineCache: source.inlineCache,
  })
  return { ...image, layers }
}

/** The form in which an output asks for each layer. */
export function wantedForm({ settings, defaultCompression, descriptorOnly }: ComposeOptions): WantedForm {
  const { compression, level, force, rewriteTimestamp, sourceDateEpoch } = settings
  return {
    compression: compression ?? defaultCompression,
    ...(level === undefined ? {} : { level }),
    ...(force ? { force } : {}),
    ...(rewriteTimestamp && sourceDateEpoch !== undefined ? { rewriteTimestampSec: sourceDateEpoch } : {}),
    ...(descriptorOnly === true ? { descriptorOnly } : {}),
  }
}

/** Whether layers are wanted as they would be made without any setting. */
export function isPlainGzip({ compression, level, rewriteTimestamp }: ImageSettings): boolean {
  return (compression ?? 'gzip') === 'gzip' && level === undefined && !rewriteTimestamp
}

function annotate(descriptor: Descriptor, settings: ImageSettings, isBase: boolean): Descriptor {
  if (!settings.rewriteTimestamp || isBase) return descriptor
  return {
    ...descriptor,
    annotations: { ...descriptor.annotations, 'buildkit/rewritten-timestamp': String(settings.sourceDateEpoch) },
  }
}

function checkPlatforms(source: ExportImage, settings: ImageSettings): void {
  for (const text of settings.annotatedPlatforms) {
    if (isSamePlatform(parsePlatform(text), source.image.platform)) continue
    throw new BuilderError('OCI_OPTION_INVALID', `invalid annotation: no platform ${text} found in source`, {
      hint: `the image is for ${formatPlatform(source.image.platform)}`,
    })
  }
}

/** Blobs of a composed image that are in the way of a reader: documents from memory, layers from the provider. */
export function blobsOf(image: ComposedImage, source: ExportImage): readonly ImageBlob[] {
  const blobs = new Map<Digest, ImageBlob>()
  for (const { descriptor } of image.layers) {
    const { digest, size } = descriptor
    const file = source.layers.file?.(digest)
    blobs.set(digest, { digest, size, open: (signal) => source.layers.open(digest, signal), ...(file && { file }) })
  }
  for (const [descriptor, bytes] of [
    [image.config, image.configBytes],
    [image.manifest, image.manifestBytes],
  ] as const) {
    blobs.set(descriptor.digest, { digest: descriptor.digest, size: descriptor.size, open: () => once(bytes) })
  }
  return [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

export interface ImageBlob {
  readonly digest: Digest
  readonly size: number
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** Where it lies as a file. */
  readonly file?: BlobFile
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

/** Reports a part of an export before and after it. */
export async function reported<Result>(
  context: ExportContext,
  id: string,
  work: () => Promise<Result> | Result,
): Promise<Result> {
  const tell = (isDone: boolean, more: Partial<ExportPart> = {}): void => context.report({ id, isDone, ...more })
  tell(false)
  const result = await work()
  tell(true)
  return result
}
