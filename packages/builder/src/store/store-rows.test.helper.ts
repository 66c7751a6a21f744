import { type DiffID, type Digest } from '../oci/digest.ts'
import { serializeImageConfig } from '../oci/image-config.ts'
import { serializeManifest } from '../oci/manifest.ts'
import { MediaType } from '../oci/media-types.ts'
import type { ImageRecord, StoredImage, LayerRecord, Store } from './types.ts'

/** A row of a layer that is not at hand in any form. */
export function layer(id: string, more: Partial<LayerRecord> = {}): LayerRecord {
  return { id, createdMs: 1000, description: `RUN make ${id}`, blobs: [], hasTar: false, hasTable: false, ...more }
}

/** Puts an image of one plain tar layer into the store. */
export function addImage(
  store: Store,
  name: string,
  content: string,
): ImageRecord & Pick<StoredImage, 'manifestDigest' | 'configDigest'> & { readonly diffId: DiffID } {
  const tar = Buffer.from(content)
  const diffId = store.blobs.put(tar) as string as DiffID
  const config = serializeImageConfig({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created_by: 'RUN x' }],
  })
  const configDigest = store.blobs.put(config)
  const manifest = serializeManifest({
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: { mediaType: MediaType.ociConfig, digest: configDigest, size: config.length },
    layers: [{ mediaType: MediaType.ociLayer, digest: diffId as string as Digest, size: tar.length }],
  })
  const manifestDigest = store.blobs.put(manifest)
  store.layers.put(layer(diffId, { diffId, hasTar: true, tarSizeBytes: tar.length }))
  const record: ImageRecord = {
    name,
    digest: manifestDigest,
    images: [{ manifestDigest, configDigest, layerIds: [diffId], sizeBytes: tar.length, isComplete: true }],
    createdMs: 5000,
    origin: 'built',
    repoDigests: [],
  }
  store.images.put(record)
  return { ...record, diffId, manifestDigest, configDigest }
}
