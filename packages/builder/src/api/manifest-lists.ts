import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import type { CommonOptions, ManifestAnnotations, ManifestListOptions } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import type { Session } from '../build/session-types.ts'
import { describe } from '../oci/descriptor.ts'
import { digestHex, digestOf, isDigest, type Digest } from '../oci/digest.ts'
import { parseIndex } from '../oci/image-index.ts'
import { isIndexType } from '../oci/media-types.ts'
import { KNOWN_ARCHITECTURES, KNOWN_OS } from '../oci/platform.ts'
import { canonicalName, formatReference, parseReference, withDefaultTag } from '../oci/reference.ts'
import type { Descriptor } from '../oci/types.ts'
import { listType, pushJoined, type Joined } from './join-images.ts'
import { fetchDocument, inRepository, platformOf } from './remote-documents.ts'

// Lists as `docker manifest` makes them step by step: kept beside the store's images until they are pushed.

interface ListEntry {
  /** With tag and registry. */
  readonly reference: string
  /** With the platform that was found or said. */
  readonly descriptor: Descriptor
}

/** A list that is made here. */
interface ManifestList {
  readonly name: string
  readonly entries: readonly ListEntry[]
}

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
  const { name } = needList(session, list)
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
  return found === undefined ? undefined : joined(found).bytes
}

/** Sends a list and all that it names. @param options `destination`: another name; `purge`: forget the list afterwards */
export async function pushManifestList(
  list: string,
  options: ManifestListOptions & { readonly destination?: string; readonly purge?: boolean } = {},
): Promise<Digest> {
  await using session = await sessionOf(options)
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

function pathOf({ store }: Session, name: string): string {
  return join(store.root, 'manifests', `${digestHex(digestOf(name))}.json`)
}

function readList(session: Session, name: string): ManifestList | undefined {
  try {
    return JSON.parse(readFileSync(pathOf(session, name), 'utf8')) as ManifestList
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Reads a list, and writes it, while nobody else does: of two that add to it at once neither is lost. */
async function changeList({ store, signal }: Session, name: string, change: () => void): Promise<void> {
  await using _ = await store.locks.acquire(`manifest-list-${digestHex(digestOf(name))}`, { signal })
  change()
}

/** Whole or not at all. */
function writeList(session: Session, list: ManifestList): void {
  const path = pathOf(session, list.name)
  mkdirSync(join(session.store.root, 'manifests'), { recursive: true, mode: 0o700 })
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(list), { mode: 0o600 })
  renameSync(`${path}.${process.pid}`, path)
}

function invalid(what: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', what)
}
