import type { Store } from '../../content/types.ts'
import { BuilderError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { isDigest } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { matchesPlatform } from '../../oci/platform-match.ts'
import { formatReference, parseTaggedReference } from '../../oci/reference.ts'
import type { Platform } from '../../oci/types.ts'
import type { ImageResolver, ResolvedImage } from '../environment.ts'

/** Asks a registry for the manifest and config of a reference and puts both into the store. */
export type FetchImage = (
  reference: string,
  platform: Platform,
) => Promise<{ readonly digest: Digest; readonly manifestDigest: Digest; readonly configDigest: Digest }>

/** What the store remembers of a reference that was resolved once. */
interface Fact {
  readonly digest: Digest
  readonly manifestDigest: Digest
}

/**
 * Images for FROM and COPY --from. A base that the store has is used as it is, as Docker does, unless `pull` asks for the
 * registry's word; only the manifest and the config are fetched here.
 */
export function createImageResolver(options: {
  readonly store: Store
  readonly fetchImage: FetchImage
  readonly pull: boolean
}): ImageResolver {
  const { store } = options
  const pending = new Map<string, Promise<ResolvedImage>>()
  const resolve = async (text: string, platform: Platform): Promise<ResolvedImage> => {
    const parsed = parseTaggedReference(text)
    const name = formatReference(parsed)
    const factKey = `image:${name}|${formatPlatform(platform)}`
    const local =
      options.pull && parsed.digest === undefined ? undefined : findLocal(store, name, parsed.digest, factKey, platform)
    if (local) return local
    const fetched = await options.fetchImage(name, platform)
    store.cache.putFact(
      factKey,
      JSON.stringify({ digest: fetched.digest, manifestDigest: fetched.manifestDigest } satisfies Fact),
    )
    const image = load(store, withDigest(name, fetched.digest), fetched.digest, fetched.manifestDigest, {
      wasInStore: false,
      isRemote: true,
    })
    if (image === undefined)
      throw new BuilderError('OCI_IMAGE_NOT_FOUND', `${name}: the store lost what was just fetched`)
    return image
  }
  const once = (key: string, work: () => Promise<ResolvedImage>): Promise<ResolvedImage> => {
    let promise = pending.get(key)
    if (promise === undefined) pending.set(key, (promise = work()))
    return promise
  }
  return {
    resolve: (reference, platform) =>
      once(`${reference}|${formatPlatform(platform)}`, () => resolve(reference, platform)),
    resolveLayout: (reference, platform) =>
      once(`${reference.directory}@${reference.digest}|${formatPlatform(platform)}`, async () => {
        const { importFromLayout } = await import('./layout.ts')
        return importFromLayout(store, reference, platform)
      }),
  }
}

function findLocal(
  store: Store,
  name: string,
  digest: string | undefined,
  factKey: string,
  platform: Platform,
): ResolvedImage | undefined {
  const record = store.images.get(name)
  if (record) {
    const image = load(store, withDigest(name, record.manifestDigest), record.manifestDigest, record.manifestDigest, {
      wasInStore: true,
      isRemote: record.origin === 'pulled',
    })
    if (image && matchesPlatform(image.config, platform)) return image
  }
  const fact = store.cache.getFact(factKey)
  if (fact !== undefined) {
    const { digest: known, manifestDigest } = JSON.parse(fact) as Fact
    const image = load(store, withDigest(name, known), known, manifestDigest, { wasInStore: true, isRemote: true })
    if (image) return image
  }
  if (digest !== undefined && isDigest(digest)) {
    const image = load(store, name, digest, digest, { wasInStore: true, isRemote: true })
    if (image && matchesPlatform(image.config, platform)) return image
  }
  return undefined
}

function load(
  store: Store,
  reference: string,
  digest: Digest,
  manifestDigest: Digest,
  origin: { readonly wasInStore: boolean; readonly isRemote: boolean },
): ResolvedImage | undefined {
  if (!store.blobs.has(manifestDigest)) return undefined
  const raw = store.blobs.read(manifestDigest)
  // An index may stand under this digest: then it is not one image.
  if ((JSON.parse(Buffer.from(raw).toString('utf8')) as { manifests?: unknown }).manifests !== undefined)
    return undefined
  const { manifest } = parseManifest(raw)
  if (!store.blobs.has(manifest.config.digest)) return undefined
  const config = parseImageConfig(store.blobs.read(manifest.config.digest))
  if (config.rootfs.diff_ids.length !== (manifest.layers ?? []).length) {
    throw new BuilderError(
      'OCI_MANIFEST_INVALID',
      `${reference}: the manifest has ${manifest.layers.length} layers and the config ${config.rootfs.diff_ids.length} diffIDs`,
    )
  }
  return { reference, digest, manifestDigest, manifest, config, ...origin }
}

function withDigest(name: string, digest: Digest): string {
  return name.includes('@') ? name : `${name}@${digest}`
}
