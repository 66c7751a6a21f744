import { BuilderError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'
import { runAll } from '../base/run-all.ts'
import { internalStep } from '../build/internal-step.ts'
import type { JoinOptions, JoinOutcome } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import type { Session } from '../build/session-types.ts'
import { sendBlobsTo } from '../build/transfers.ts'
import { checkDescriptor, describe } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { parseIndex, serializeIndex } from '../oci/image-index.ts'
import { MediaType } from '../oci/media-types.ts'
import { isSamePlatform } from '../oci/platform-match.ts'
import { parsePlatform } from '../oci/platform.ts'
import { formatReference, type ImageReference, parseReference, repositoryOf, withDefaultTag } from '../oci/reference.ts'
import type { Descriptor } from '../oci/types.ts'
import { applyAnnotations, checkIndexAnnotations, type IndexAnnotation } from './join-annotations.ts'
import { bringMissing } from './push-missing.ts'
import { fetchDocument, inRepository, platformOf, type RemoteDocument } from './remote-documents.ts'

/**
 * Makes an index over images of registries and gives it names there, as `docker buildx imagetools create` does, byte for
 * byte. What its names' repositories lack is mounted or carried over.
 * @param sources references, digests in the one repository that is named, or descriptors as JSON
 * @throws OCI_OPTION_INVALID, OCI_REFERENCE_INVALID, OCI_REGISTRY_…, OCI_PLATFORM_NOT_FOUND
 */
export async function joinImages(sources: readonly string[], options: JoinOptions = {}): Promise<JoinOutcome> {
  const { tags = [], platforms = [], isDryRun = false, preferIndex = true } = options
  if (sources.length === 0) throw invalid('no sources specified')
  if (!isDryRun && tags.length === 0) throw invalid("can't push with no tags specified, please set --tag or --dry-run")
  const names = tags.map((tag) => withDefaultTag(parseReference(tag)))
  const annotations = checkIndexAnnotations(options.annotations ?? {})
  const [target] = names
  const texts = options.append === true && target !== undefined ? [formatReference(target), ...sources] : sources
  const wanted = placed(texts.map(parseSource), names, texts)
  await using session = await sessionOf(options)
  const found = await Promise.all(wanted.map((source) => resolveSource(session, source)))
  const index = await combine(found, { annotations, platforms, preferIndex })
  const { bytes, descriptor } = index
  const sink: ProgressSink = options.onProgress ?? (() => undefined)
  if (!isDryRun) await pushAll(session, sink, names, index)
  return { bytes, descriptor, digest: descriptor.digest, names: names.map(formatReference) }
}

interface Source {
  readonly reference?: ImageReference | undefined
  /** What is to be said of it instead. */
  readonly given: Partial<Descriptor>
}

function parseSource(text: string): Source {
  try {
    if (isDigest(text)) return { given: { digest: text } }
    if (!text.trimStart().startsWith('{')) return { reference: withDefaultTag(parseReference(text)), given: {} }
    const value = JSON.parse(text) as Record<string, unknown>
    const { mediaType, size, platform, annotations, ...more } = checkDescriptor({ size: 0, ...value }, 'descriptor')
    return {
      given: {
        ...more,
        ...(mediaType === '' ? {} : { mediaType }),
        ...(size === 0 ? {} : { size }),
        ...(platform === undefined ? {} : { platform }),
        ...(annotations === undefined ? {} : { annotations }),
      },
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new BuilderError(
      'OCI_REFERENCE_INVALID',
      `failed to parse source ${JSON.stringify(text)}, valid sources are digests, references and descriptors: ${why}`,
      { cause },
    )
  }
}

interface PlacedSource extends Source {
  readonly reference: ImageReference
}

/** A digest alone is one of the repository that is named elsewhere. */
function placed(
  sources: readonly Source[],
  names: readonly ImageReference[],
  texts: readonly string[],
): readonly PlacedSource[] {
  const named = [...names, ...sources.flatMap(({ reference }) => reference ?? [])]
  const repositories = new Map(named.map((one) => [repositoryOf(one), one] as const))
  const [first] = repositories.values()
  if (first === undefined) throw invalid('no repositories specified, please set a reference in tag or source')
  return sources.map(({ reference, given }, at) => {
    if (reference !== undefined) return { reference, given }
    if (repositories.size > 1)
      throw invalid(`multiple repositories specified, cannot infer repository for ${JSON.stringify(texts[at])}`)
    return { reference: inRepository(first, given.digest!), given }
  })
}

interface Found {
  readonly document: RemoteDocument
  /** As it is to stand in an index. */
  readonly entry: Descriptor
}

async function resolveSource(session: Session, { reference, given }: PlacedSource): Promise<Found> {
  const document = await fetchDocument(session, reference)
  const { descriptor } = document
  if (given.size !== undefined && given.size !== descriptor.size)
    throw invalid(`invalid size mismatch for ${descriptor.digest}, ${given.size} != ${descriptor.size}`)
  if (document.isIndex) return { document, entry: { ...descriptor, ...given } }
  const platform = given.platform ?? (await platformOf(session, document))
  return { document, entry: { ...descriptor, ...given, ...(platform === undefined ? {} : { platform }) } }
}

/** An index, or what the one source was, and where what it names comes from. */
export interface Joined {
  readonly bytes: Uint8Array
  readonly descriptor: Descriptor
  readonly parts: readonly { readonly entry: Descriptor; readonly from: ImageReference }[]
}

interface CombineOptions {
  readonly annotations: readonly IndexAnnotation[]
  readonly platforms: readonly string[]
  readonly preferIndex: boolean
}

async function combine(found: readonly Found[], options: CombineOptions): Promise<Joined> {
  const { annotations, platforms, preferIndex } = options
  const parts = partsOf(found)
  const wanted = platforms.flatMap((text) => text.split(',')).map(parsePlatform)
  const kept = wanted.length === 0 ? parts : parts.filter(({ entry }) => isWanted(entry, wanted, parts))
  if (kept.length === 0)
    throw new BuilderError('OCI_PLATFORM_NOT_FOUND', 'none of the manifests match the provided platforms')
  const [only, ...more] = found
  if (only !== undefined && more.length === 0 && annotations.length === 0 && kept.length === parts.length) {
    const { document } = only
    if (document.isIndex || !preferIndex) return { bytes: document.bytes, descriptor: document.descriptor, parts: kept }
  }
  // As buildx: what is annotated anew has nothing of before.
  const isSame = only !== undefined && more.length === 0 && only.document.isIndex && annotations.length === 0
  const own = isSame ? indexOf(only).annotations : undefined
  const index = applyAnnotations(
    {
      schemaVersion: 2,
      mediaType: listType(kept.map(({ entry }) => entry)),
      manifests: kept.map(({ entry }) => entry),
      ...(own === undefined ? {} : { annotations: own }),
    },
    annotations,
  )
  const bytes = serializeIndex(index, 'indented')
  return { bytes, descriptor: describe(bytes, index.mediaType), parts: kept }
}

/** Docker's list where all that it names is Docker's. */
export function listType(entries: readonly Descriptor[]): string {
  return entries.every(({ mediaType }) => mediaType === MediaType.dockerManifest)
    ? MediaType.dockerList
    : MediaType.ociIndex
}

/** Attestations go with the image that they are about. */
function isWanted(
  entry: Descriptor,
  wanted: readonly ReturnType<typeof parsePlatform>[],
  parts: Joined['parts'],
): boolean {
  const subject = entry.annotations?.['vnd.docker.reference.digest']
  if (subject !== undefined) {
    const about = parts.find((part) => part.entry.digest === subject)
    return about !== undefined && about.entry !== entry && isWanted(about.entry, wanted, [])
  }
  const { platform } = entry
  return platform !== undefined && wanted.some((one) => isSamePlatform(platform, one))
}

/** Each digest once; what is said of it later counts. */
function partsOf(found: readonly Found[]): Joined['parts'] {
  const parts = new Map<Digest, Joined['parts'][number]>()
  const add = (entry: Descriptor, from: ImageReference): void => {
    const before = parts.get(entry.digest)?.entry
    if (before === undefined) return void parts.set(entry.digest, { entry, from })
    const annotations = { ...before.annotations, ...entry.annotations }
    parts.set(entry.digest, {
      entry: {
        ...before,
        ...(entry.platform === undefined ? {} : { platform: entry.platform }),
        ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      },
      from,
    })
  }
  for (const one of found) {
    const { reference } = one.document
    if (one.document.isIndex) for (const entry of indexOf(one).manifests) add(entry, reference)
    else add(one.entry, reference)
  }
  return [...parts.values()]
}

function indexOf({ document }: Found): ReturnType<typeof parseIndex>['index'] {
  return parseIndex(document.bytes).index
}

/** Names of one repository one after the other: what the first brings the others find. */
async function pushAll(
  session: Session,
  sink: ProgressSink,
  names: readonly ImageReference[],
  index: Joined,
): Promise<void> {
  const works = [...Map.groupBy(names, repositoryOf).values()].map((group) => async () => {
    for (const name of group) await pushJoined(session, sink, name, index)
  })
  await runAll(works, session.signal)
}

/** Brings what an index names to the repository of a name, then the index. */
export async function pushJoined(
  session: Session,
  sink: ProgressSink,
  name: ImageReference,
  { bytes, descriptor, parts }: Joined,
): Promise<void> {
  const target = formatReference(name)
  await internalStep(sink, `pushing ${target}`, async (report) => {
    const sender = sendBlobsTo(session, target, report)
    for (const { entry, from } of parts) {
      const text = `copying ${entry.digest} from ${formatReference(from)} to ${target}`
      report(text, text)
      await bringMissing(session, [entry], { target, origins: [repositoryOf(from)], sender, signal: session.signal })
      report(text, text, { isDone: true })
    }
    const client = await session.registry()
    const { tagOrDigestOf } = await import('../registry/index.ts')
    const text = `pushing ${descriptor.digest} to ${target}`
    report(text, text)
    const { mediaType } = descriptor
    await client.putManifest(client.repository(name), tagOrDigestOf(name), { bytes, mediaType }, session.signal)
    report(text, text, { isDone: true })
  })
}

function invalid(what: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', what)
}
