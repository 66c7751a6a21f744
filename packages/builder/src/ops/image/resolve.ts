import { isIndexRecord } from '../../store/image-id.ts'
import type { ImageRecord, Store } from '../../store/types.ts'
import { BuilderError, isTsOciError, type TsOciError } from '../../base/errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { isDigest } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { parseIndex } from '../../oci/image-index.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { closestTo, matchesPlatform } from '../../oci/platform-match.ts'
import { formatReference, parseTaggedReference, repositoryOf } from '../../oci/reference.ts'
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

/** Which bases are asked for at their registry; see {@link createImageResolver}. */
export type PullPolicy = 'default' | 'always' | 'missing' | 'never'

/** Whether the registry still has under a name what is known of it; `moved` when not, the reason when nobody can say. */
export type CheckImage = (reference: string, known: Digest) => Promise<'same' | 'moved' | TsOciError>

/** What the registries said of the bases that were looked up so far. */
export interface ConfirmedImages {
  /** A name has another image now: what was made of the old one is to be made again. */
  readonly moved: boolean
  /** Bases whose registry gave no answer, and why: the copy at hand was taken. */
  readonly doubts: readonly (readonly [name: string, reason: TsOciError])[]
}

export interface CheckedImageResolver extends ImageResolver {
  /** Waits for the answers of the registries. @throws what a registry answered that refuses the image */
  confirm(): Promise<ConfirmedImages>
}

export interface ImageResolverOptions {
  readonly store: Store
  readonly fetchImage: FetchImage
  readonly checkImage: CheckImage
  readonly pull: PullPolicy
}

/**
 * Images for FROM and COPY --from; only the manifest and the config are fetched here. What the user pulled, tagged or
 * built is used as it is, as Docker does. A base that only builds fetched is asked for again by each build, as BuildKit
 * does: `resolve` answers with the copy at hand, and `confirm` waits for the registry's word. With `always` the registry
 * is asked for both, with `missing` for what is not at hand, with `never` for nothing. A digest needs no question.
 */
export function createImageResolver(options: ImageResolverOptions): CheckedImageResolver {
  const { store } = options
  const pending = new Map<string, Promise<ResolvedImage>>()
  const checks = new Map<string, Promise<'same' | 'moved' | TsOciError>>()
  const doubts = new Map<string, TsOciError>()
  const outdated = new Set<string>()

  const resolve = async (text: string, platform: Platform): Promise<ResolvedImage> => {
    const parsed = parseTaggedReference(text)
    const name = formatReference(parsed)
    const factKey = `image:${name}|${formatPlatform(platform)}`
    const mayBeLocal = (options.pull !== 'always' && !outdated.has(name)) || parsed.digest !== undefined
    const local = mayBeLocal ? findLocal(store, name, parsed.digest, factKey, platform) : undefined
    if (local !== undefined) {
      const isAsked = options.pull === 'default' && local.isOfBuilds && parsed.digest === undefined
      if (isAsked && checks.get(name) === undefined) checks.set(name, startCheck(name, local.image.digest))
      return local.image
    }
    if (options.pull === 'never') throw notPulled(name)
    const known = indexOf(store, name) ?? (options.pull === 'missing' ? indexOfBuilds(store, name) : undefined)
    const fetched = await fetch(name, mayBeLocal ? known : undefined, platform)
    store.cache.putFact(`base:${name}`, fetched.digest)
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
  /** Of an index that is at hand the rest comes, too: its tag may lead elsewhere by now, and images of two would mix. */
  const fetch = async (name: string, index: Digest | undefined, platform: Platform) => {
    if (index === undefined) return await options.fetchImage(name, platform)
    return await options.fetchImage(withDigest(name, index), platform).catch((error: unknown) => {
      if (!isTsOciError(error) || error.code !== 'OCI_REGISTRY_NOT_FOUND') throw error
      throw new BuilderError(
        'OCI_REGISTRY_NOT_FOUND',
        `${name}@${index} has no image for ${formatPlatform(platform)} at its registry any more`,
        {
          hint: `the store has ${name} as it was before, without its image for ${formatPlatform(platform)}, and the registry does not have that any more: tsbuild pull ${name}, or build with --pull`,
          details: error.details,
          cause: error,
        },
      )
    })
  }
  const startCheck = (name: string, known: Digest): Promise<'same' | 'moved' | TsOciError> => {
    const check = options.checkImage(name, known)
    // Who waits for it is told; until then a failure is nobody's.
    check.catch(() => undefined)
    return check
  }
  const confirm = async (): Promise<ConfirmedImages> => {
    const moved = new Set<string>()
    for (const [name, check] of checks) {
      const answer = await check
      if (answer === 'moved') moved.add(name)
      else if (answer !== 'same') doubts.set(name, answer)
      // It is not asked twice: what is fetched now is what the registry has.
      checks.set(name, Promise.resolve('same'))
    }
    // What follows from an old base is forgotten; the new one is fetched when it is asked for again.
    if (moved.size > 0) pending.clear()
    for (const name of moved) outdated.add(name)
    return { moved: moved.size > 0, doubts: [...doubts] }
  }
  const once = (key: string, work: () => Promise<ResolvedImage>): Promise<ResolvedImage> => {
    let promise = pending.get(key)
    if (promise === undefined) pending.set(key, (promise = work()))
    return promise
  }
  return {
    confirm,
    resolve: (reference, platform) =>
      once(`${reference}|${formatPlatform(platform)}`, () => resolve(reference, platform)),
    resolveLayout: (reference, platform) =>
      once(`${reference.directory}@${reference.digest}|${formatPlatform(platform)}`, async () => {
        const { importFromLayout } = await import('./layout.ts')
        return importFromLayout(store, reference, platform)
      }),
  }
}

interface LocalImage {
  readonly image: ResolvedImage
  /** No user has it: a build has fetched it. */
  readonly isOfBuilds: boolean
}

function findLocal(
  store: Store,
  name: string,
  digest: string | undefined,
  factKey: string,
  platform: Platform,
): LocalImage | undefined {
  const record = store.images.get(name)
  if (record) {
    const origin = { wasInStore: true, isRemote: record.origin === 'pulled' }
    const images = record.images.flatMap(
      ({ manifestDigest }) => load(store, withDigest(name, record.digest), record.digest, manifestDigest, origin) ?? [],
    )
    const image = closestTo(platform, images)
    if (image !== undefined && !isBetterElsewhere(store, record, image, platform)) return { image, isOfBuilds: false }
  }
  const index = indexOf(store, name)
  const fact = store.cache.getFact(factKey)
  if (fact !== undefined) {
    const { digest: known, manifestDigest } = JSON.parse(fact) as Fact
    const isSame = index === undefined || index === known
    const origin = { wasInStore: true, isRemote: true }
    const image = isSame ? load(store, withDigest(name, known), known, manifestDigest, origin) : undefined
    if (image) return { image, isOfBuilds: index === undefined }
  }
  if (digest !== undefined && isDigest(digest)) {
    const image = load(store, name, digest, digest, { wasInStore: true, isRemote: true })
    if (image && matchesPlatform(image.config, platform)) return { image, isOfBuilds: true }
  }
  return undefined
}

/** The index that a user has under a name and a registry had, where that is one. */
function indexOf(store: Store, name: string): Digest | undefined {
  const record = store.images.get(name)
  if (record === undefined || !isIndexRecord(record) || !store.blobs.has(record.digest)) return undefined
  const wanted = `${repositoryOf(parseTaggedReference(name))}@${record.digest}`
  return record.repoDigests.includes(wanted) ? record.digest : undefined
}

/** What builds fetched last by a name, for who does not want to know whether it leads elsewhere now. */
function indexOfBuilds(store: Store, name: string): Digest | undefined {
  const digest = store.cache.getFact(`base:${name}`)
  return digest !== undefined && isDigest(digest) && store.blobs.has(digest) ? digest : undefined
}

/** The index may name an image that fits better than those of it that are here. */
function isBetterElsewhere(
  store: Store,
  record: ImageRecord,
  { manifestDigest }: ResolvedImage,
  wanted: Platform,
): boolean {
  if (!isIndexRecord(record) || !store.blobs.has(record.digest)) return false
  const offered = parseIndex(store.blobs.read(record.digest)).index.manifests.flatMap(({ digest, platform }) =>
    platform === undefined ? [] : [{ digest, config: platform }],
  )
  const best = closestTo(wanted, offered)
  return best !== undefined && offered.some(({ digest }) => digest === manifestDigest) && best.digest !== manifestDigest
}

function notPulled(name: string): BuilderError {
  return new BuilderError('OCI_IMAGE_NOT_FOUND', `${name} is not in the store, and --pull=never forbids to fetch it`, {
    hint: `tsbuild pull ${name}, or build without --pull=never`,
  })
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
