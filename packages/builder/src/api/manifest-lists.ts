import { rmSync, statSync } from 'node:fs'
import { BuilderError } from '../base/errors.ts'
import type { CommonOptions, ManifestAnnotations, ManifestListOptions } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import type { Session } from '../build/session-types.ts'
import { describe } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { parseIndex } from '../oci/image-index.ts'
import { isIndexType } from '../oci/media-types.ts'
import { KNOWN_ARCHITECTURES, KNOWN_OS } from '../oci/platform.ts'
import { canonicalName, formatReference, parseReference, withDefaultTag } from '../oci/reference.ts'
import { isIndexRecord } from '../store/image-id.ts'
import type { ImageRecord } from '../store/types.ts'
import { listType, pushJoined, type Joined } from './join-images.ts'
import { changeList, type ListEntry, type ManifestList, pathOf, readList, writeList } from './manifest-list-files.ts'
import { fetchDocument, inRepository, platformOf } from './remote-documents.ts'
import { push } from './transfer.ts'

// Lists as `docker manifest` makes them step by step: kept beside the store's images until they are pushed.

/** Begins a list over images of registries, or with `amend` adds to one. @throws OCI_OPTION_INVALID, OCI_REGISTRY_… */
export async function createManifestList(
  list: string,
  images: readonly string[],
  options: ManifestListOptions & { readonly amend?: boolean } = {},
): Promise<string> {
  await using session = await sessionOf(options)
  const name = canonicalName(list)
  const begin = (): ManifestList => {
    const before = readList(session, name)
    if (before !== undefined && options.amend !== true)
      throw invalid('refusing to amend an existing manifest list with no --amend flag')
    return before ?? { name, entries: [] }
  }
  begin()
  await extend(session, { name, read: begin }, images, options)
  return name
}

/** Adds images to a list. @returns the digests of what was added */
export async function addToManifestList(
  list: string,
  images: readonly string[],
  options: ManifestListOptions & ManifestAnnotations = {},
): Promise<readonly Digest[]> {
  await using session = await sessionOf(options)
  const { name, entries } = needList(session, list)
  if (entries.length === 0 && builtIndex(session, name) !== undefined)
    throw new BuilderError(
      'OCI_OPTION_INVALID',
      `${list} is what a build made for several platforms: it takes no more images`,
      {
        hint: `push it, and join it with the others: tsbuild manifest create --all OTHER NAME-IN-REGISTRY …`,
      },
    )
  const added = await extend(session, { name, read: () => needList(session, list) }, images, options)
  return added.map(({ descriptor }) => descriptor.digest)
}

async function extend(
  session: Session,
  { name, read }: { readonly name: string; readonly read: () => ManifestList },
  images: readonly string[],
  options: ManifestListOptions & ManifestAnnotations,
): Promise<readonly ListEntry[]> {
  const found = (await Promise.all(images.map((image) => entriesOf(session, image, options.all === true)))).flat()
  const added = found.map((entry) => annotated(entry, options))
  // Registries are asked before: nobody waits for them who waits for the list.
  await changeList(session, name, () => {
    const { entries } = read()
    const kept = entries.filter(({ descriptor }) => !added.some((one) => one.descriptor.digest === descriptor.digest))
    writeList(session, { name, entries: [...kept, ...added] })
  })
  return added
}

async function entriesOf(session: Session, image: string, isAll: boolean): Promise<readonly ListEntry[]> {
  const reference = withDefaultTag(parseReference(image.replace(/^docker:\/\//, '')))
  const name = formatReference(reference)
  const document = await fetchDocument(session, reference)
  if (!document.isIndex) {
    const platform = await platformOf(session, document)
    return [
      { reference: name, descriptor: { ...document.descriptor, ...(platform === undefined ? {} : { platform }) } },
    ]
  }
  if (!isAll)
    throw new BuilderError('OCI_OPTION_INVALID', `${image} is a manifest list`, {
      hint: '--all takes all images of it, NAME@DIGEST one',
    })
  const { manifests } = parseIndex(document.bytes).index
  return manifests
    .filter(({ mediaType }) => !isIndexType(mediaType))
    .map((descriptor) => ({ reference: formatReference(inRepository(reference, descriptor.digest)), descriptor }))
}

/** Says more, or something else, of an image of a list. @throws OCI_IMAGE_NOT_FOUND, OCI_PLATFORM_INVALID */
export async function annotateManifestList(
  list: string,
  image: string,
  options: CommonOptions & ManifestAnnotations,
): Promise<void> {
  await using session = await sessionOf(options)
  const wanted = isDigest(image) ? image : canonicalName(image)
  await changeList(session, canonicalName(list), () => {
    const { name, entries } = needList(session, list)
    if (!entries.some((entry) => isEntry(entry, wanted)))
      throw new BuilderError('OCI_IMAGE_NOT_FOUND', `manifest for image ${image} does not exist in ${list}`)
    writeList(session, {
      name,
      entries: entries.map((entry) => (isEntry(entry, wanted) ? annotated(entry, options) : entry)),
    })
  })
}

function isEntry({ reference, descriptor }: ListEntry, wanted: string): boolean {
  return reference === wanted || descriptor.digest === wanted
}

function annotated({ reference, descriptor }: ListEntry, options: ManifestAnnotations): ListEntry {
  const { os, architecture, variant, osVersion, osFeatures, annotations } = options
  const before = descriptor.platform ?? { os: '', architecture: '' }
  const platform = {
    ...before,
    ...(os === undefined ? {} : { os }),
    ...(architecture === undefined ? {} : { architecture }),
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { 'os.version': osVersion }),
    ...(osFeatures === undefined || osFeatures.length === 0 ? {} : { 'os.features': osFeatures }),
  }
  if ((os !== undefined && !KNOWN_OS.has(os)) || (architecture !== undefined && !KNOWN_ARCHITECTURES.has(architecture)))
    throw new BuilderError(
      'OCI_PLATFORM_INVALID',
      `manifest entry for image has unsupported os/arch combination: ${os ?? ''}/${architecture ?? ''}`,
    )
  const hasPlatform = platform.os !== '' || platform.architecture !== ''
  const all = { ...descriptor.annotations, ...annotations }
  return {
    reference,
    descriptor: {
      ...descriptor,
      ...(hasPlatform ? { platform } : {}),
      ...(Object.keys(all).length === 0 ? {} : { annotations: all }),
    },
  }
}

/** The document of a list as it would be pushed; undefined where there is none of that name. */
export async function readManifestList(list: string, options: CommonOptions = {}): Promise<Uint8Array | undefined> {
  await using session = await sessionOf(options)
  const found = readList(session, canonicalName(list))
  if (found === undefined) return undefined
  const built = found.entries.length === 0 ? builtIndex(session, found.name) : undefined
  return built === undefined ? joined(found).bytes : session.store.blobs.read(built.digest)
}

/** What a build for several platforms named as the list: buildah's `--manifest` puts it into one that was begun empty. */
function builtIndex({ store }: Session, name: string): ImageRecord | undefined {
  const record = store.images.get(name)
  return record !== undefined && isIndexRecord(record) ? record : undefined
}

/** Sends a list and all that it names. @param options `destination`: another name; `purge`: forget the list afterwards */
export async function pushManifestList(
  list: string,
  options: ManifestListOptions & { readonly destination?: string; readonly purge?: boolean } = {},
): Promise<Digest> {
  await using session = await sessionOf(options)
  const name = canonicalName(list)
  if (isBuilt(session, list, name)) {
    const target = options.destination?.replace(/^docker:\/\//, '')
    const { digest } = await push(list, { session, onProgress: options.onProgress, destination: target })
    if (options.purge === true) await changeList(session, name, () => rmSync(pathOf(session, name), { force: true }))
    return digest
  }
  const found = needList(session, list)
  const index = joined(found)
  const target = withDefaultTag(parseReference((options.destination ?? list).replace(/^docker:\/\//, '')))
  await pushJoined(session, options.onProgress ?? (() => undefined), target, index)
  if (options.purge === true)
    await changeList(session, found.name, () => {
      const now = readList(session, found.name)
      // What somebody added meanwhile was not sent.
      if (now !== undefined && joined(now).descriptor.digest === index.descriptor.digest)
        rmSync(pathOf(session, found.name), { force: true })
    })
  return index.descriptor.digest
}

/**
 * Whether a name stands for what a build made for several platforms, and not for images of registries.
 * @throws OCI_OPTION_INVALID where it could be either, or neither: what a build made is never left out in silence
 */
function isBuilt(session: Session, list: string, name: string): boolean {
  const built = builtIndex(session, name)
  const found = readList(session, name)
  if (found === undefined) return built !== undefined
  if (found.entries.length === 0) {
    if (built !== undefined) return true
    throw new BuilderError('OCI_OPTION_INVALID', `${list} has no images`, {
      hint: `tsbuild manifest add ${list} IMAGE, or tsbuild -t ${list} --platform OS/ARCH,OS/ARCH CONTEXT`,
    })
  }
  if (built === undefined || (built.taggedMs ?? 0) < statSync(pathOf(session, name)).mtimeMs) return false
  throw new BuilderError(
    'OCI_OPTION_INVALID',
    `${list} is a list of images of registries, and an image that was built since`,
    {
      hint: `tsbuild push ${list} sends the image; tsbuild manifest rm ${list} forgets the list`,
    },
  )
}

/** Takes one image out of a list. */
export async function removeFromManifestList(list: string, digest: string, options: CommonOptions = {}): Promise<void> {
  await using session = await sessionOf(options)
  await changeList(session, canonicalName(list), () => {
    const { name, entries } = needList(session, list)
    const kept = entries.filter(({ descriptor }) => descriptor.digest !== digest)
    if (kept.length === entries.length)
      throw new BuilderError('OCI_IMAGE_NOT_FOUND', `no instance matching ${JSON.stringify(digest)} found in ${list}`)
    writeList(session, { name, entries: kept })
  })
}

/** Forgets a list. @throws OCI_IMAGE_NOT_FOUND */
export async function removeManifestList(list: string, options: CommonOptions = {}): Promise<void> {
  await using session = await sessionOf(options)
  await changeList(session, canonicalName(list), () =>
    rmSync(pathOf(session, needList(session, list).name), { force: true }),
  )
}

/** As Docker writes it, so that a list of the same images has the same digest: three blanks, size before digest. */
function joined({ entries }: ManifestList): Joined {
  const descriptors = entries.map(({ descriptor }) => descriptor)
  const mediaType = listType(descriptors)
  const manifests = descriptors.map(({ mediaType: type, size, digest, urls, annotations, platform }) => ({
    mediaType: type,
    size,
    digest,
    urls,
    annotations,
    platform: platform && {
      architecture: platform.architecture,
      os: platform.os,
      'os.version': platform['os.version'],
      'os.features': platform['os.features'],
      variant: platform.variant,
    },
  }))
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }, null, 3))
  const parts = entries.map(({ reference, descriptor }) => ({ entry: descriptor, from: parseReference(reference) }))
  return { bytes, descriptor: describe(bytes, mediaType), parts }
}

function needList(session: Session, list: string): ManifestList {
  const found = readList(session, canonicalName(list))
  if (found !== undefined) return found
  throw new BuilderError('OCI_IMAGE_NOT_FOUND', `No such manifest: ${list}`, {
    hint: 'tsbuild manifest create begins one',
  })
}

function invalid(what: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', what)
}
