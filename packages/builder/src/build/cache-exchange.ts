/** Caches that travel, for one build: read when something is looked for that is not here, written when all is built. */
import { BuilderError, isTsOciError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { CacheBlobs, PreparedImport } from '../cache/backends/types.ts'
import { createImportedCache, type ImportedForms, type ImportedRecords } from '../cache/imported-cache.ts'
import type { CacheManager } from '../cache/types.ts'
import type { Digest } from '../oci/digest.ts'
import { internalStep } from './internal-step.ts'
import type { Session } from './session-types.ts'

/** What a build reads of caches from elsewhere. */
export interface CacheImports {
  manager(forms: ImportedForms): CacheManager
  /** Who reads the blobs of a reference that names no registry. */
  blobsOf(reference: string): CacheBlobs | undefined
  /** A layer could not be had: who wants it makes it. */
  lose(digest: Digest, reason: unknown): void
}

export function createCacheImports(
  session: Session,
  imports: readonly PreparedImport[],
  sink: ProgressSink,
): CacheImports {
  const lost = new Set<Digest>()
  let loading: Promise<readonly ImportedRecords[]> | undefined
  const load = async (): Promise<readonly ImportedRecords[]> => {
    const loaded = await Promise.all(imports.map((one) => loadOne(session, one, sink)))
    return loaded.flat()
  }
  return {
    manager: (forms) =>
      createImportedCache({
        forms,
        load: () => (loading ??= load()),
        isLost: ({ descriptor }) => lost.has(descriptor.digest),
      }),
    blobsOf: (reference) => imports.find(({ blobs }) => blobs && reference.startsWith(blobs.scheme))?.blobs,
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
  { name, load }: PreparedImport,
  sink: ProgressSink,
): Promise<readonly ImportedRecords[]> {
  const { signal } = session
  try {
    return await internalStep(sink, name, async () => {
      const { createRecordLookup } = await import('../cache/buildkit/lookup.ts')
      const caches = await load({ registry: session.registry, signal })
      return caches.map(({ records, layers, reference }) => ({
        name: name.replace(/^importing cache manifest from /, ''),
        records,
        layers,
        reference,
        lookup: createRecordLookup(records),
      }))
    })
  } catch (error) {
    if (signal.aborted || !isTsOciError(error)) throw error
    warn(sink, `${name.replace(/^importing/, 'no')}: ${messageOf(error)}`)
    return []
  }
}

export function warn(sink: ProgressSink, message: string): void {
  sink({ type: 'warning', warning: { rule: '', message } })
}

export function messageOf(error: unknown): string {
  return error instanceof BuilderError || error instanceof Error ? error.message : String(error)
}
