import { BuilderError } from '../base/errors.ts'
import { assembleImage, type AssembledImage } from '../image/assemble.ts'
import type { Compression } from '../oci/compressions.ts'
import { describe } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { createIndex, serializeIndex } from '../oci/image-index.ts'
import { MediaType } from '../oci/media-types.ts'
import { isSamePlatform } from '../oci/platform-match.ts'
import { formatPlatform, parsePlatform } from '../oci/platform.ts'
import type { Descriptor } from '../oci/types.ts'
import { annotationsFor } from './annotations.ts'
import type { ImageSettings } from './image-settings.ts'
import type {
  BlobFile,
  ExportContext,
  ExportedImage,
  ExportImage,
  ExportPart,
  ExportSource,
  ProvidedLayer,
  WantedForm,
} from './types.ts'

/** An image in the form that an output wants: the bytes of its documents, and where its layers are. */
export interface ComposedImage extends AssembledImage {
  /** What it was made of. */
  readonly source: ExportImage
  readonly layers: readonly ProvidedLayer[]
}

/** What a build gave, in the form that an output wants. */
export interface Composed {
  /** One a platform, in the order of the source. */
  readonly images: readonly [ComposedImage, ...ComposedImage[]]
  /** Over several of them. */
  readonly index?: Uint8Array
  /** What a name leads to: the manifest of the one image, or the index. */
  readonly root: Descriptor
}

export interface ComposeOptions {
  readonly settings: ImageSettings
  /** For layers that have no blob yet, where `settings` asks for nothing. */
  readonly defaultCompression: Compression | 'stored'
  /** A base that was not fetched may stay away. */
  readonly descriptorOnly?: boolean
}

/** Converts the layers, all at once, and writes configs and manifests over them, and an index over several images. */
export async function compose(
  source: ExportSource,
  context: ExportContext,
  options: ComposeOptions,
): Promise<Composed> {
  const { settings } = options
  checkPlatforms(source, settings)
  const layers = await reported(context, 'exporting layers', () =>
    Promise.all(source.images.map((image) => provideLayers(image, context, options))),
  )
  const [first, ...more] = source.images.map((image, at) => composeImage(image, layers[at]!, settings))
  if (first === undefined) throw new Error('a build gives an image')
  if (more.length === 0) return { images: [first], root: first.manifest }
  const images = [first, ...more] as const
  const index = indexOver(images, settings)
  return { images, index, root: describe(index, indexType(settings)) }
}

function provideLayers(
  { layers }: ExportImage,
  { signal }: ExportContext,
  options: ComposeOptions,
): Promise<readonly ProvidedLayer[]> {
  return Promise.all(
    Array.from({ length: layers.count }, (_, index) => layers.provide(index, wantedForm(options), signal)),
  )
}

function composeImage(source: ExportImage, layers: readonly ProvidedLayer[], settings: ImageSettings): ComposedImage {
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
    annotations: annotationsFor(settings, 'manifest', source.image.platform),
    inlineCache: source.inlineCache,
  })
  return { ...image, source, layers }
}

function indexType({ mediaTypes }: ImageSettings): string {
  return mediaTypes === 'docker' ? MediaType.dockerList : MediaType.ociIndex
}

function indexOver(images: readonly ComposedImage[], settings: ImageSettings): Uint8Array {
  const entries = images.map(({ manifest, source: { image } }): Descriptor => {
    const annotations = annotationsFor(settings, 'manifest-descriptor', image.platform)
    return {
      ...manifest,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      platform: image.platform,
    }
  })
  const index = {
    ...createIndex(entries),
    mediaType: indexType(settings),
    annotations: annotationsFor(settings, 'index'),
  }
  return serializeIndex(index, 'indented')
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

function checkPlatforms({ images }: ExportSource, { annotations }: ImageSettings): void {
  const platforms = images.map(({ image }) => image.platform)
  for (const { target, platform } of annotations) {
    if (
      platform === undefined ||
      target.startsWith('index') ||
      platforms.some((one) => isSamePlatform(parsePlatform(platform), one))
    )
      continue
    throw new BuilderError('OCI_OPTION_INVALID', `invalid annotation: no platform ${platform} found in source`, {
      hint: `built for ${platforms.map(formatPlatform).join(', ')}`,
    })
  }
}

/** Blobs that are in the way of a reader: documents from memory, layers from the provider. */
export function blobsOf({ images, index, root }: Composed): readonly ImageBlob[] {
  const blobs = new Map<Digest, ImageBlob>()
  const addDocument = ({ digest, size }: Descriptor, bytes: Uint8Array): void =>
    void blobs.set(digest, { digest, size, open: () => once(bytes) })
  for (const image of images) {
    const { layers } = image.source
    for (const { digest, size } of image.layers.map(({ descriptor }) => descriptor)) {
      const file = layers.file?.(digest)
      blobs.set(digest, { digest, size, open: (signal) => layers.open(digest, signal), ...(file && { file }) })
    }
    addDocument(image.config, image.configBytes)
    addDocument(image.manifest, image.manifestBytes)
  }
  if (index !== undefined) addDocument(root, index)
  return [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

/** What the result of an output says of the images that it wrote. */
export function exportedImages({ images }: Composed): readonly ExportedImage[] {
  return images.map(({ source: { image }, manifest, config }) => ({
    platform: image.platform,
    digest: manifest.digest,
    configDigest: config.digest,
  }))
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
