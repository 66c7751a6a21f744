/** Caches that travel, for one build: read when something is looked for that is not here, written when all is built. */
import { isTsOciError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { CacheBlobs, PreparedImport } from '../cache/backends/types.ts'
import { createImportedCache, type ImportedForms } from '../cache/imported-cache.ts'
import type { CacheManager } from '../cache/types.ts'
import type { Digest } from '../oci/digest.ts'
import { unlessCanceled } from '../registry/shared.ts'
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

/** Manifest and config are small: who has not sent them by then has them no sooner than the steps are run. */
const LOAD_MS = 30_000

export async function createCacheImports(
  session: Session,
  imports: readonly PreparedImport[],
  sink: ProgressSink,
  boundMs: number = LOAD_MS,
): Promise<CacheImports> {
  const lost = new Set<Digest>()
  let loading: Promise<readonly LoadedCache[]> | undefined
  const load = async (): Promise<readonly LoadedCache[]> => {
    const loaded = await Promise.all(
      imports.map((one) => loadOne(session, one, { sink, boundMs: one.patienceMs ?? boundMs })),
    )
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

/** A cache that cannot be read, or stands still, is a build without it, and a warning. */
async function loadOne(
  session: Session,
  { name, load, mounts }: PreparedImport,
  { sink, boundMs }: { readonly sink: ProgressSink; readonly boundMs: number },
): Promise<readonly LoadedCache[]> {
  const bound = AbortSignal.timeout(boundMs)
  const signal = AbortSignal.any([session.signal, bound])
  try {
    return await internalStep(sink, name, async () => {
      const { createRecordLookup } = await import('../cache/buildkit/lookup.ts')
      // A place may not heed the signal: a read of a disk of the network does not.
      const caches = await unlessCanceled(load({ registry: session.registry, signal }), signal)
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
    if (session.signal.aborted || !(bound.aborted || isTsOciError(error))) throw error
    const reason = bound.aborted ? `it did not answer within ${boundMs / 1000} s` : messageOf(error)
    warn(sink, `${name.replace(/^importing/, 'no')}: ${reason}`)
    return []
  }
}
