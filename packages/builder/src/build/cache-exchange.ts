/** Caches that travel, for one build: read when something is looked for that is not here, written when all is built. */
import { isTsOciError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { CacheBlobs, PreparedImport } from '../cache/backends/types.ts'
import { createImportedCache, type ImportedForms } from '../cache/imported-cache.ts'
import type { CacheManager } from '../cache/types.ts'
import type { Digest } from '../oci/digest.ts'
import { messageOf, warn } from './cache-messages.ts'
import type { LoadedCache, MountImports } from './cache-mounts-import.ts'
import { internalStep } from './internal-step.ts'
import type { Session } from './session-types.ts'

/** What a build reads of caches from elsewhere. */
export interface CacheImports {
  manager(forms: ImportedForms): CacheManager
  /** Who reads the blobs of a reference that names no registry. */
  blobsOf(reference: string): CacheBlobs | undefined
  /** Cache mounts that they have; undefined where none are wanted. */
  readonly mounts: MountImports | undefined
  /** A layer could not be had: who wants it makes it. */
  lose(digest: Digest, reason: unknown): void
}

export async function createCacheImports(
  session: Session,
  imports: readonly PreparedImport[],
  sink: ProgressSink,
): Promise<CacheImports> {
  const lost = new Set<Digest>()
  let loading: Promise<readonly LoadedCache[]> | undefined
  const load = async (): Promise<readonly LoadedCache[]> => {
    const loaded = await Promise.all(imports.map((one) => loadOne(session, one, sink)))
    return loaded.flat()
  }
  const loadOnce = (): Promise<readonly LoadedCache[]> => (loading ??= load())
  const blobsOf = (reference: string): CacheBlobs | undefined =>
    imports.find(({ blobs }) => blobs && reference.startsWith(blobs.scheme))?.blobs
  const mounts = imports.every((one) => one.mounts === undefined)
    ? undefined
    : (await import('./cache-mounts-import.ts')).createMountImports({ session, load: loadOnce, blobsOf, sink })
  return {
    mounts,
    manager: (forms) =>
      createImportedCache({
        forms,
        load: loadOnce,
        isLost: ({ descriptor }) => lost.has(descriptor.digest),
      }),
    blobsOf,
    lose: (digest, reason) => {
      if (lost.has(digest)) return
      lost.add(digest)
      warn(sink, `layer ${digest} of a cache could not be had, its step is run: ${messageOf(reason)}`)
    },
  }
}

/** A cache that cannot be read is a build without it, and a warning. */
async function loadOne(
  session: Session,
  { name, load, mounts }: PreparedImport,
  sink: ProgressSink,
): Promise<readonly LoadedCache[]> {
  const { signal } = session
  try {
    return await internalStep(sink, name, async () => {
      const { createRecordLookup } = await import('../cache/buildkit/lookup.ts')
      const caches = await load({ registry: session.registry, signal })
      return caches.map(({ records, layers, reference, rank }) => ({
        name: name.replace(/^importing cache manifest from /, ''),
        records,
        layers,
        reference,
        mounts,
        rank,
        lookup: createRecordLookup(records),
      }))
    })
  } catch (error) {
    if (signal.aborted || !isTsOciError(error)) throw error
    warn(sink, `${name.replace(/^importing/, 'no')}: ${messageOf(error)}`)
    return []
  }
}
