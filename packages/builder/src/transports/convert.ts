import { BuilderError } from '../base/errors.ts'
import { describe } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { looksLikeIndex, parseIndex, serializeIndex } from '../oci/image-index.ts'
import { parseManifest, serializeManifest } from '../oci/manifest.ts'
import { layerCompression, layerMediaType, toFamily } from '../oci/media-types.ts'
import type { Descriptor } from '../oci/types.ts'
import type { BlobCompression } from '../tar/compression.ts'
import { inflated } from '../tar/inflated.ts'
import type { Bundle, BundleImage, Document, TransportBlob, TransportContext } from './types.ts'

/** What a copy changes on its way. */
export interface Conversion {
  /** Media types; default: as they are. */
  readonly format?: 'oci' | 'docker' | undefined
  /** Of layers: `plain` are those that are not compressed, `all` those that are otherwise, too. */
  readonly compression?: {
    readonly kind: BlobCompression | 'none'
    readonly level?: number | undefined
    readonly of: 'plain' | 'all'
  }
}

/** True where every digest stays. */
function changesNothing({ format, compression }: Conversion): boolean {
  return format === undefined && compression === undefined
}

/**
 * What an archive of Docker's format is converted by: some readers (crane) take the compression of the first layer for that of
 * all, and would push a plain tar as gzip. So where the layers are mixed the plain ones are compressed, as a push sends them.
 */
export function unmixing({ images }: Bundle): Conversion {
  const isMixed = images.some(({ layers }) => {
    const plain = layers.filter(({ mediaType }) => layerCompression(mediaType) === 'none')
    return plain.length > 0 && plain.length < layers.length
  })
  return isMixed ? { compression: { kind: 'gzip', of: 'plain' } } : {}
}

/** The same images in another form: what has the form already keeps its bytes. */
export async function convert(bundle: Bundle, conversion: Conversion, context: TransportContext): Promise<Bundle> {
  if (changesNothing(conversion)) return bundle
  const blobs = new Map(bundle.blobs.map((blob) => [blob.descriptor.digest, blob]))
  const layers = new Map<Digest, Promise<TransportBlob>>()
  const documents = new Map<Digest, Document>()
  const images: BundleImage[] = []
  const layerOf = (descriptor: Descriptor): Promise<TransportBlob> | undefined => {
    const blob = blobs.get(descriptor.digest)
    if (blob === undefined) return undefined
    const made = layers.get(descriptor.digest) ?? convertLayer({ ...blob, descriptor }, conversion, context)
    layers.set(descriptor.digest, made)
    return made
  }
  for (const image of bundle.images) {
    const converted = await convertImage(image, conversion, layerOf)
    documents.set(image.manifest.descriptor.digest, converted.manifest)
    images.push(converted)
  }
  // Innermost first: what an index names is known before it is written.
  for (const child of bundle.children)
    if (!documents.has(child.descriptor.digest))
      documents.set(child.descriptor.digest, convertIndex(child, documents, conversion))
  const root = documents.get(bundle.root.descriptor.digest) ?? convertIndex(bundle.root, documents, conversion)
  const made = new Map(await Promise.all([...layers].map(async ([digest, layer]) => [digest, await layer] as const)))
  const configs = new Map(images.map(({ config }) => [config.descriptor.digest, config.descriptor]))
  return {
    ...bundle,
    root,
    images,
    children: bundle.children.map(({ descriptor }) => documents.get(descriptor.digest)!),
    blobs: bundle.blobs.map((blob) => {
      const config = configs.get(blob.descriptor.digest)
      return config === undefined ? (made.get(blob.descriptor.digest) ?? blob) : { ...blob, descriptor: config }
    }),
  }
}

async function convertImage(
  image: BundleImage,
  { format }: Conversion,
  layerOf: (descriptor: Descriptor) => Promise<TransportBlob> | undefined,
): Promise<BundleImage> {
  const { manifest } = parseManifest(image.manifest.bytes, image.manifest.descriptor.mediaType)
  const family = (mediaType: string): string => (format === undefined ? mediaType : toFamily(mediaType, format))
  const layers: Descriptor[] = []
  for (const before of image.layers) {
    const { mediaType, digest, size } = (await layerOf(before))?.descriptor ?? before
    layers.push(withoutForeign({ ...before, mediaType: family(mediaType), digest, size }, format))
  }
  checkDocker(layers, format)
  const config = { ...manifest.config, mediaType: family(manifest.config.mediaType) }
  const { annotations, ...rest } = manifest
  const bytes = serializeManifest({
    ...rest,
    mediaType: family(manifest.mediaType),
    config,
    layers,
    ...(format === 'docker' || annotations === undefined ? {} : { annotations }),
  })
  return {
    manifest: { bytes, descriptor: describe(bytes, family(manifest.mediaType)) },
    config: { bytes: image.config.bytes, descriptor: config },
    layers,
  }
}

/** Docker's manifests have no annotations. */
function withoutForeign({ annotations, ...descriptor }: Descriptor, format: Conversion['format']): Descriptor {
  return format === 'docker' || annotations === undefined ? descriptor : { ...descriptor, annotations }
}

function checkDocker(layers: readonly Descriptor[], format: Conversion['format']): void {
  if (format !== 'docker' || layers.every(({ mediaType }) => layerCompression(mediaType) !== 'zstd')) return
  throw new BuilderError(
    'OCI_OPTION_INVALID',
    "a layer is compressed by zstd, which Docker's manifest (v2s2) has no word for",
    {
      hint: '--dest-compress-format gzip compresses it anew, or leave --format out',
    },
  )
}

function convertIndex(document: Document, documents: ReadonlyMap<Digest, Document>, { format }: Conversion): Document {
  const { bytes, descriptor } = document
  if (!looksLikeIndex(bytes, descriptor.mediaType)) return document
  const { index, mediaType } = parseIndex(bytes, descriptor.mediaType)
  const type = format === undefined ? mediaType : toFamily(mediaType, format)
  const manifests = index.manifests.map((entry): Descriptor => {
    const { mediaType: kind, digest, size } = documents.get(entry.digest)?.descriptor ?? entry
    return { ...entry, mediaType: kind, digest, size }
  })
  const written = serializeIndex({ ...index, mediaType: type, manifests }, 'indented')
  return { bytes: written, descriptor: describe(written, type) }
}

async function convertLayer(
  blob: TransportBlob,
  { compression }: Conversion,
  context: TransportContext,
): Promise<TransportBlob> {
  const before = layerCompression(blob.descriptor.mediaType)
  if (compression === undefined || before === undefined || before === compression.kind) return blob
  if (compression.of === 'plain' && before !== 'none') return blob
  const { kind, level } = compression
  if (kind === 'gzip' && level === undefined && blob.compressed !== undefined) return blob.compressed()
  const directory = await context.temporaryDirectory('layer')
  const plain = `${directory.path}/layer.tar`
  const { digest, size } = await inflateTo(plain, blob, context)
  const isDocker = blob.descriptor.mediaType.startsWith('application/vnd.docker.')
  const mediaType = layerMediaType(kind, { docker: isDocker })
  if (kind === 'none') return fileBlob(plain, { mediaType, digest, size })
  const destination = `${plain}.packed`
  const { signal } = context
  const { compressFile } = await import('../tar/compression.ts')
  const packed = await compressFile({ source: plain, destination, compression: kind, level, signal })
  return fileBlob(destination, { mediaType, digest: packed.digest, size: packed.sizeBytes })
}

/** Verified, as whoever writes it down no longer can. */
async function inflateTo(
  path: string,
  blob: TransportBlob,
  { signal }: TransportContext,
): Promise<{ readonly digest: Digest; readonly size: number }> {
  const [{ open }, { createDigester }, { verified }] = await Promise.all([
    import('node:fs/promises'),
    import('../oci/digest.ts'),
    import('../exporters/archive.ts'),
  ])
  const { digest, size } = blob.descriptor
  const source = verified({ digest, size, open: (stop) => blob.open(stop) }, signal)
  const handle = await open(path, 'wx', 0o600)
  const digester = createDigester()
  let sizeBytes = 0
  try {
    for await (const chunk of inflated(source, `layer ${digest}`)) {
      signal.throwIfAborted()
      await handle.writeFile(chunk)
      digester.update(chunk)
      sizeBytes += chunk.length
    }
  } finally {
    await handle.close()
  }
  return { digest: digester.digest(), size: sizeBytes }
}

async function fileBlob(path: string, descriptor: Descriptor): Promise<TransportBlob> {
  const { archivedBlob } = await import('./archive/blobs.ts')
  return archivedBlob({ path, offset: 0, size: descriptor.size, digest: descriptor.digest }, descriptor)
}
