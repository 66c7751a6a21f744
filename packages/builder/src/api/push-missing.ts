import { BuilderError, isTsOciError } from '../base/errors.ts'
import { runAll } from '../base/run-all.ts'
import type { BlobSender } from '../build/transfers.ts'
import type { Session } from '../build/session-types.ts'
import type { Digest } from '../oci/digest.ts'
import { parseIndex } from '../oci/image-index.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isIndexType, isManifestType } from '../oci/media-types.ts'
import type { Descriptor } from '../oci/types.ts'

export interface MissingOptions {
  /** Canonical name of the image that is pushed. */
  readonly target: string
  /** Repositories (canonical) where the index came from, or went to. */
  readonly origins: readonly string[]
  readonly sender: BlobSender
  readonly signal: AbortSignal
}

/** As Docker's client says it. */
const HINT =
  "You're trying to push a manifest list/index which references multiple platform specific manifests, but not all of them are available locally or available to the remote repository. " +
  'Make sure you have all the referenced content and try again. ' +
  'You can also push only a single platform specific manifest directly by specifying the platform you want to push with the --platform flag.'

/**
 * Sees that what an index names and the store does not have whole is at the target: it has it already, or gets it from
 * where the index came from, by a mount or past the disk.
 * @throws OCI_BLOB_NOT_FOUND
 */
export async function bringMissing(
  session: Session,
  entries: readonly Descriptor[],
  options: MissingOptions,
): Promise<ReadonlySet<Digest>> {
  const works = entries.map((entry) => (stop: AbortSignal) => bring(session, entry, { ...options, signal: stop }, 1))
  await runAll(works, options.signal)
  return new Set(entries.map(({ digest }) => digest))
}

/** Indexes lie in each other no deeper. */
const MAX_DEPTH = 4

async function bring(session: Session, entry: Descriptor, options: MissingOptions, depth: number): Promise<void> {
  const { sender, origins, target, signal } = options
  if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType))
    return await sender.send(entry, { repositories: origins, signal })
  const client = await session.registry()
  const repository = client.repository(target)
  if (await isFound(() => client.resolve(repository, entry.digest, signal))) return
  const bytes = await documentOf(session, entry, options)
  if (isIndexType(entry.mediaType)) {
    if (depth >= MAX_DEPTH) throw new BuilderError('OCI_MANIFEST_INVALID', 'the image index is nested too deeply')
    for (const inner of parseIndex(bytes).index.manifests) await bring(session, inner, options, depth + 1)
  } else {
    const { config, layers } = parseManifest(bytes).manifest
    await runAll(
      [...layers, config].map((blob) => (stop: AbortSignal) => {
        return sender.send(blob, { repositories: origins, signal: stop })
      }),
      signal,
    )
  }
  await client.putManifest(repository, entry.digest, { bytes, mediaType: entry.mediaType }, signal)
}

async function documentOf(
  { store, registry }: Session,
  { digest }: Descriptor,
  { origins, target, signal }: MissingOptions,
): Promise<Uint8Array> {
  if (store.blobs.has(digest)) return store.blobs.read(digest)
  const client = await registry()
  let cause: unknown
  for (const origin of origins) {
    try {
      return (await client.fetchManifest(client.repository(origin), digest, signal)).bytes
    } catch (error) {
      if (signal.aborted || !isTsOciError(error)) throw error
      cause ??= error
    }
  }
  throw new BuilderError('OCI_BLOB_NOT_FOUND', `${target}: missing content: content digest ${digest}: not found`, {
    hint: HINT,
    cause,
  })
}

async function isFound(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask()
    return true
  } catch (error) {
    if (isTsOciError(error) && error.code === 'OCI_REGISTRY_NOT_FOUND') return false
    throw error
  }
}
