/** Caches in stores of objects: one object for each layer, and one for each name of the cache, written when all layers are there. */
import { runAll } from '../../base/run-all.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/types.ts'
import { createLimiter } from '../../registry/limiter.ts'
import { annotatedConfig, MAX_ANNOTATED_BYTES, readAnnotatedConfig } from './annotated.ts'
import { leftOutLine } from './manifest.ts'
import type {
  CacheExportContext,
  CacheLayerToWrite,
  CacheToWrite,
  ImportedCache,
  PreparedCacheExport,
  PreparedImport,
} from './types.ts'

/** A bucket or container, with the credentials for it. */
export interface ObjectStore {
  /** The object; undefined: there is none. */
  get(key: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined>
  /** The bytes of a layer. @throws OCI_CACHE_FAILED also where there is none */
  read(key: string, sizeBytes: number, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Whether it is there, whole; what makes it look new is done. */
  keep(key: string, sizeBytes: number, signal: AbortSignal): Promise<boolean>
  /** Replaces the object, at once and whole. */
  put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /** Writes an object that is named by its content. */
  putLayer(key: string, layer: CacheLayerToWrite, signal: AbortSignal): Promise<void>
}

/** Where the objects of a cache lie. */
export interface ObjectPlaces {
  /** `s3://bucket/prefix`: how it is told, and the beginning of its references. */
  readonly place: string
  readonly names: readonly string[]
  manifestKey(name: string): string
  blobKey(digest: Digest): string
}

/** Each of the names is asked; one that is not there is no cache. */
export function importFromObjects(places: ObjectPlaces, open: () => ObjectStore): PreparedImport {
  // Two caches may be below one another.
  const scheme = `cache+${places.place}#`
  const load = async (name: string, signal: AbortSignal): Promise<ImportedCache[]> => {
    const bytes = await open().get(places.manifestKey(name), MAX_ANNOTATED_BYTES, signal)
    return bytes === undefined ? [] : [readAnnotatedConfig(bytes, scheme)]
  }
  return {
    name: `importing cache manifest from ${places.place}`,
    load: async ({ signal }) =>
      (
        await runAll(
          places.names.map((name) => (one) => load(name, one)),
          signal,
        )
      ).flat(),
    blobs: {
      scheme,
      open: (_reference: string, { digest, size }: Descriptor, signal: AbortSignal) =>
        open().read(places.blobKey(digest), size, signal),
    },
  }
}

export function writeToObjects(
  places: ObjectPlaces,
  open: () => ObjectStore,
  parallel: number,
): NonNullable<PreparedCacheExport['write']> {
  return async (cache, context) => {
    const store = open()
    const { bytes, leftOut } = annotatedConfig(cache)
    const line = leftOutLine(leftOut, cache.config.records.length)
    if (line !== undefined) context.report(line, { isDone: true })
    await writeLayers(cache, context, parallel, async (layer, signal) => {
      const { digest, size } = layer.descriptor
      const key = places.blobKey(digest)
      if (await store.keep(key, size, signal)) return false
      await store.putLayer(key, layer, signal)
      return true
    })
    // Last of all: until then who reads finds the cache as it was.
    for (const name of places.names) await store.put(places.manifestKey(name), bytes, context.signal)
  }
}

/** Writes the layers that are not there, a few at a time. @param write false: it was there */
export async function writeLayers(
  { config, layers }: CacheToWrite,
  { signal, report }: Pick<CacheExportContext, 'signal' | 'report'>,
  parallel: number,
  write: (layer: CacheLayerToWrite, signal: AbortSignal) => Promise<boolean>,
): Promise<void> {
  const limit = createLimiter(parallel)
  const digests = [...new Set(config.layers.map(({ blob }) => blob))]
  await runAll(
    digests.map((digest) => (shared) => {
      const layer = layers.get(digest)!
      return limit(shared, async () => {
        if (await write(layer, shared))
          report(`writing layer ${digest}`, { current: layer.descriptor.size, isDone: true })
      })
    }),
    signal,
  )
}
