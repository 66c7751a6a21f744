/** Cache mounts out of caches from elsewhere: listed when a step that runs asks for one, fetched when it has none. */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { BuilderError, isTsOciError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'
import { decodeMounts, MOUNTS_KEY, type CarriedMount, type MountBounds } from '../cache/carried-mounts.ts'
import type { CacheBlobs } from '../cache/backends/types.ts'
import type { ImportedRecords } from '../cache/imported-cache.ts'
import { createDigester } from '../oci/digest.ts'
import { layerCompression } from '../oci/media-types.ts'
import { registryReference } from '../oci/reference.ts'
import type { Descriptor } from '../oci/types.ts'
import type { CarriedMountFiles, CarriedMounts } from '../ops/environment.ts'
import { messageOf, warn } from './cache-messages.ts'
import { internalStep } from './internal-step.ts'
import type { Session } from './session-types.ts'

/** A cache that was read, and what is taken of its mounts. */
export interface LoadedCache extends ImportedRecords {
  readonly mounts: MountBounds | undefined
}

/** A mount that a cache has, and how its bytes are read. */
export interface FoundMount {
  readonly mount: CarriedMount
  /** The name of its cache. */
  readonly origin: string
  readonly reference: string
  open(signal: AbortSignal): AsyncIterable<Uint8Array>
}

export interface MountImports extends CarriedMounts {
  /** Of the caches in the order in which they were named: the first that has a mount is the one. */
  list(): Promise<ReadonlyMap<string, FoundMount>>
  /** What a build begins with on purpose is not brought back. */
  ignore(ids: readonly string[]): void
}

export interface MountImportOptions {
  readonly session: Session
  readonly load: () => Promise<readonly LoadedCache[]>
  readonly blobsOf: (reference: string) => CacheBlobs | undefined
  readonly sink: ProgressSink
}

/** A list of thousands of mounts has less. */
const MAX_LIST_BYTES = 1 << 20
const REPORT_MS = 150

export function createMountImports({ session, load, blobsOf, sink }: MountImportOptions): MountImports {
  let listing: Promise<ReadonlyMap<string, FoundMount>> | undefined
  let takenBytes = 0
  const ignored: string[] = []
  const open = (descriptor: Descriptor, reference: string, signal: AbortSignal): AsyncIterable<Uint8Array> =>
    openBlob(session, blobsOf(reference), { descriptor, reference, signal })

  async function listAll(): Promise<ReadonlyMap<string, FoundMount>> {
    const found = new Map<string, FoundMount>()
    for (const cache of await load()) {
      const descriptor = cache.mounts && listOf(cache)
      if (descriptor === undefined) continue
      try {
        if (descriptor.size > MAX_LIST_BYTES)
          throw new BuilderError('OCI_CACHE_INVALID', `its list has ${descriptor.size} bytes`)
        const bytes = await collect(verified(open(descriptor, cache.reference, session.signal), descriptor))
        for (const mount of decodeMounts(bytes))
          if (!found.has(mount.id))
            found.set(mount.id, {
              mount,
              origin: cache.name,
              reference: cache.reference,
              open: (signal) => verified(open(mount.blob, cache.reference, signal), mount.blob),
            })
      } catch (error) {
        if (session.signal.aborted || !isExpected(error)) throw error
        warn(sink, `the cache mounts of ${cache.name} could not be read: ${messageOf(error)}`)
      }
    }
    return found
  }
  const list = (): Promise<ReadonlyMap<string, FoundMount>> => (listing ??= listAll())

  async function boundsOf(found: FoundMount): Promise<MountBounds> {
    const caches = await load()
    return caches.find(({ name, mounts }) => mounts !== undefined && name === found.origin)!.mounts!
  }
  async function find(id: string): Promise<CarriedMountFiles | undefined> {
    if (ignored.some((name) => id === name || id.startsWith(`${name}:`))) return undefined
    const found = (await list()).get(id)
    if (found === undefined) return undefined
    const { mount, origin } = found
    const { maxBytes, maxAgeMs } = await boundsOf(found)
    if (Date.now() - mount.usedMs > maxAgeMs) return undefined
    return {
      root: mount.root,
      bring: async (temporary, unpack, signal) => {
        if (takenBytes + mount.tarBytes > maxBytes) {
          warn(sink, `cache mount ${id} begins empty: ${mount.tarBytes} bytes are more than mounts-max-size leaves`)
          return false
        }
        takenBytes += mount.tarBytes
        try {
          await internalStep(sink, `importing cache mount ${id} from ${origin}`, async (report) => {
            const file = `${temporary}/mount.tar`
            const { digest, size: total } = mount.blob
            let current = 0
            let toldMs = 0
            const counted = counting(found.open(signal), (bytes) => {
              current += bytes
              if (Date.now() - toldMs < REPORT_MS) return
              toldMs = Date.now()
              report(digest, digest, { current, total })
            })
            await pipeline(counted, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal })
            report(digest, digest, { current: total, total, isDone: true })
            const compression = layerCompression(mount.blob.mediaType) === 'zstd' ? 'zstd' : 'none'
            const { diffId, tarBytes } = mount
            await unpack({ file, compression, sizeBytes: total, diffId, maxBytes: tarBytes })
          })
          session.traffic.fetchedBytes += mount.blob.size
          return true
        } catch (error) {
          if (signal.aborted || !isExpected(error)) throw error
          warn(sink, `cache mount ${id} of ${origin} could not be had and begins empty: ${messageOf(error)}`)
          return false
        }
      },
    }
  }
  return { list, find, ignore: (ids) => void ignored.push(...ids) }
}

/** What leads to the list of mounts of a cache. */
function listOf({ records, layers }: ImportedRecords): Descriptor | undefined {
  const record = records.find(({ digest, inputs }) => digest === MOUNTS_KEY && inputs.length === 0)
  const index = record?.results[0]?.layers.at(-1)
  return index === undefined ? undefined : layers[index]?.descriptor
}

/** What may go wrong with what others wrote, or where it lies. */
function isExpected(error: unknown): boolean {
  return isTsOciError(error) || typeof (error as { readonly code?: unknown } | null)?.code === 'string'
}

async function* openBlob(
  session: Session,
  blobs: CacheBlobs | undefined,
  { descriptor, reference, signal }: { descriptor: Descriptor; reference: string; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  if (blobs !== undefined) return yield* blobs.open(reference, descriptor, signal)
  const client = await session.registry()
  const named = registryReference(reference)
  if (named === undefined) throw new BuilderError('OCI_CACHE_INVALID', `${reference} is no place of this build`)
  yield* client.fetchBlob(client.repository(named), descriptor, { signal })
}

async function* verified(
  chunks: AsyncIterable<Uint8Array>,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
): AsyncGenerator<Uint8Array> {
  const digester = createDigester()
  let current = 0
  for await (const chunk of chunks) {
    current += chunk.length
    if (current > size) break
    digester.update(chunk)
    // Memory of its own: a download uses its buffer again.
    yield Buffer.from(chunk)
  }
  if (current !== size || digester.digest() !== digest)
    throw new BuilderError('OCI_DIGEST_MISMATCH', `blob ${digest} of ${size} bytes is another one where it lies`)
}

async function* counting(chunks: AsyncIterable<Uint8Array>, tell: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    tell(chunk.length)
    yield chunk
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}
