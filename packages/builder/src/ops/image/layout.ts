import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Store } from '../../store/types.ts'
import { BuilderError } from '../../base/errors.ts'
import { digestHex, isDigest, type Digest } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { parseIndex } from '../../oci/image-index.ts'
import { checkIsImage, MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { awaitSelection, selectImage } from '../../oci/select-image.ts'
import type { Descriptor, Platform } from '../../oci/types.ts'
import type { ResolvedImage } from '../environment.ts'

/** An image in an OCI image layout of this machine: `path[:tag][@digest]`. */
export interface LayoutReference {
  /** Absolute. */
  readonly directory: string
  readonly digest: Digest
}

const REFERENCE = /^(.*?)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(.+))?$/s

/**
 * Finds the digest that a layout's tag (default `latest`) names, as buildx does before it asks BuildKit.
 * @throws OCI_CONTEXT_NOT_FOUND, OCI_IMAGE_NOT_FOUND, OCI_DIGEST_INVALID
 */
export function findInLayout(text: string): LayoutReference {
  const match = REFERENCE.exec(text)
  const [, path = '', tag, digest] = match ?? []
  const directory = resolve(path)
  const indexPath = join(directory, 'index.json')
  if (!existsSync(indexPath))
    throw new BuilderError('OCI_CONTEXT_NOT_FOUND', `${path} is no OCI image layout: it has no index.json`)
  if (digest !== undefined) {
    if (!isDigest(digest))
      throw new BuilderError('OCI_DIGEST_INVALID', `invalid digest ${JSON.stringify(digest)} in oci-layout://${text}`)
    return { directory, digest }
  }
  const wanted = tag ?? 'latest'
  const { index } = parseIndex(readFileSync(indexPath))
  const found = index.manifests.find(({ annotations }) => {
    const name = annotations?.['org.opencontainers.image.ref.name']
    return name === wanted || name?.endsWith(`:${wanted}`)
  })
  if (found === undefined)
    throw new BuilderError('OCI_IMAGE_NOT_FOUND', `${path} has no image tagged ${wanted}`, {
      hint: 'name a tag (path:tag) or a digest (path@sha256:…) that its index.json lists',
    })
  return { directory, digest: found.digest }
}

/** Brings an image of a layout into the store, each blob verified. What is there already is not copied again. */
export async function importFromLayout(
  store: Store,
  { directory, digest }: LayoutReference,
  platform: Platform,
): Promise<ResolvedImage> {
  const pathOf = (wanted: Digest): string => join(directory, 'blobs', 'sha256', digestHex(wanted))
  const copy = async ({
    digest: wanted,
    size,
  }: Pick<Descriptor, 'digest'> & { readonly size?: number }): Promise<void> => {
    if (store.blobs.has(wanted)) return
    if (!existsSync(pathOf(wanted)))
      throw new BuilderError('OCI_BLOB_NOT_FOUND', `${directory} lacks the blob ${wanted} that its image names`)
    const writer = store.blobs.createWriter()
    try {
      for await (const chunk of createReadStream(pathOf(wanted), { highWaterMark: 1 << 20 }))
        await writer.write(chunk as Uint8Array)
    } catch (error) {
      await writer.abort()
      throw error
    }
    await writer.commit({ digest: wanted, ...(size === undefined ? {} : { size }) })
  }
  const read = async (descriptor: Pick<Descriptor, 'digest'> & { readonly size?: number }): Promise<Uint8Array> => {
    if ((descriptor.size ?? 0) > MAX_MANIFEST_BYTES)
      throw new BuilderError(
        'OCI_MANIFEST_INVALID',
        `${descriptor.digest} in ${directory} is larger than ${MAX_MANIFEST_BYTES} bytes`,
      )
    await copy(descriptor)
    return store.blobs.read(descriptor.digest)
  }
  const top = await read({ digest })
  const selected = await awaitSelection(selectImage({ bytes: top, mediaType: undefined }, platform), read)
  if (selected.manifest === undefined)
    throw new BuilderError(
      'OCI_PLATFORM_NOT_FOUND',
      `the image ${digest} in ${directory} has nothing for ${formatPlatform(platform)}`,
    )
  const { manifest, digest: manifestDigest } = selected.manifest
  checkIsImage(manifest, `the image ${digest} in ${directory}`)
  const config = parseImageConfig(await read(manifest.config))
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    throw new BuilderError(
      'OCI_MANIFEST_INVALID',
      `the image ${digest} in ${directory} has ${manifest.layers.length} layers and ${config.rootfs.diff_ids.length} diffIDs`,
    )
  }
  for (const layer of manifest.layers) await copy(layer)
  return {
    reference: `oci-layout://${directory}@${digest}`,
    digest,
    manifestDigest,
    manifest,
    config,
    isRemote: false,
    wasInStore: false,
  }
}
