/** Packs the cache mounts that the steps of a build have, for the caches that it writes. */
import { createReadStream } from 'node:fs'
import { BuilderError } from '../base/errors.ts'
import type { CacheLayerToWrite } from '../cache/backends/types.ts'
import {
  encodeMounts,
  MOUNTS_KEY,
  MOUNTS_TYPE,
  mountKey,
  type CarriedMount,
  type MountBounds,
} from '../cache/carried-mounts.ts'
import type { CacheChains } from '../cache/buildkit/chains.ts'
import { recordsOnDisk } from '../disk/owner-record.ts'
import type { JobRunner } from '../disk/job-runner.ts'
import { describe } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { formatTime } from '../oci/go-json.ts'
import { registryReference } from '../oci/reference.ts'
import type { CompressedFile } from '../tar/blob-output.ts'
import type { CacheMountRow, TemporaryDirectory } from '../store/types.ts'
import type { FoundMount } from './cache-mounts-import.ts'
import type { Session } from './session-types.ts'

/** A cache mount, and how it is read when a target lacks it. */
export interface PackedMount {
  readonly mount: CarriedMount
  readonly repositories: readonly string[]
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** Packs each mount once, for all caches that are written; what is packed goes when it is disposed of. */
export interface MountPacker extends AsyncDisposable {
  /** The mounts that fit the bounds, the last used first. `tell` is given what is left out, and why. */
  pack(
    wanted: readonly WantedMount[],
    bounds: MountBounds,
    tell: (message: string) => void,
  ): Promise<readonly PackedMount[]>
}

export interface WantedMount {
  /** As every store calls it. */
  readonly carriedId: string
  /** In this store; undefined: not here. */
  readonly row: CacheMountRow | undefined
  /** Where the cache that was read has it: that goes on. */
  readonly carried: FoundMount | undefined
}

const MEDIA_TYPE = 'application/vnd.oci.image.layer.v1.tar+zstd'
/** A step of another build may hold a mount for as long as it runs: nobody waits for that. */
const LOCK_WAIT_MS = 10_000

export function createMountPacker(session: Session, jobs: JobRunner): MountPacker {
  const packed = new Map<string, Promise<PackedMount | string>>()
  let directory: Promise<TemporaryDirectory> | undefined
  const temporary = (): Promise<TemporaryDirectory> =>
    (directory ??= session.store.createTemporaryDirectory('cache-mounts'))
  const work: PackWork = { session, jobs, temporary, count: 0 }
  return {
    pack: async (wanted, { maxBytes, maxAgeMs }, tell) => {
      const chosen: PackedMount[] = []
      let left = maxBytes
      const usedMsOf = ({ row, carried }: WantedMount): number => row?.usedMs ?? carried!.mount.usedMs
      for (const one of wanted.toSorted((a, b) => usedMsOf(b) - usedMsOf(a))) {
        if (Date.now() - usedMsOf(one) > maxAgeMs) continue
        const key = `${one.carriedId} ${left}`
        const known = packed.get(one.carriedId) ?? packed.get(key)
        const packing = known ?? packOne(work, one, left)
        const result = await packing
        packed.set(typeof result === 'string' ? key : one.carriedId, packing)
        if (typeof result === 'string') tell(`cache mount ${one.carriedId} stays here: ${result}`)
        else if (result.mount.tarBytes > left) tell(`cache mount ${one.carriedId} stays here: ${tooLarge(left)}`)
        else {
          chosen.push(result)
          left -= result.mount.tarBytes
        }
      }
      return chosen
    },
    [Symbol.asyncDispose]: async () => (await directory)?.[Symbol.asyncDispose](),
  }
}

function tooLarge(left: number): string {
  return `it is larger than the ${left} bytes that mounts-max-size leaves`
}

interface PackWork {
  readonly session: Session
  readonly jobs: JobRunner
  readonly temporary: () => Promise<TemporaryDirectory>
  count: number
}

/** What was packed when the tree had this fingerprint: one that still has it is not packed again. */
interface KnownPack {
  readonly fingerprint: string
  readonly compressor: string
  readonly mount: CarriedMount
}

/** A text says why not. */
async function packOne(work: PackWork, wanted: WantedMount, maxBytes: number): Promise<PackedMount | string> {
  const { row, carried, carriedId } = wanted
  if (row === undefined) return carriedOn(carried!)
  if (row.isKept) return 'a step that sees a secret had it, or keeps it private'
  const { cache } = work.session.store
  const fact = `packed cache mount ${row.id}`
  // A push loads it alone: it stays a file of its own.
  const { compressorId } = await import('../tar/compression.ts')
  const compressor = compressorId('zstd')
  const remembered = cache.getFact(fact)
  const known = remembered === undefined ? undefined : (JSON.parse(remembered) as KnownPack)
  const isKnown = known?.compressor === compressor && known.mount.id === carriedId
  const tar = await tarOf(work, row, maxBytes, isKnown ? known.fingerprint : undefined)
  if (typeof tar === 'string') return tar
  const { usedMs } = row
  if (tar.file === undefined) {
    const mount = { ...known!.mount, usedMs }
    return { mount, repositories: [], open: (signal) => packedAgain(work, row, mount, signal) }
  }
  const { root, diffId, sizeBytes, file } = tar
  const { digest, sizeBytes: size } = await compressTar(work, file)
  const blob = { mediaType: MEDIA_TYPE, digest, size }
  const mount: CarriedMount = { id: carriedId, blob, diffId, tarBytes: sizeBytes, root, usedMs }
  cache.putFact(fact, JSON.stringify({ fingerprint: tar.fingerprint, compressor, mount } satisfies KnownPack))
  return { mount, repositories: [], open: (signal) => readFile(`${file}.zst`, signal) }
}

type Tar = Pick<Awaited<ReturnType<JobRunner['run']>> & object, never> & {
  readonly fingerprint: string
  readonly root: CarriedMount['root']
  readonly diffId: CarriedMount['diffId']
  readonly sizeBytes: number
  /** Absent: the tree is as it was. */
  readonly file: string | undefined
}

/** While nobody has it mounted. */
async function tarOf(
  { session, jobs, temporary, ...work }: PackWork,
  { id, directory }: CacheMountRow,
  maxBytes: number,
  known: string | undefined,
): Promise<Tar | string> {
  const { store, signal } = session
  const { idMapping } = await session.executor()
  const { path } = await temporary()
  const destination = `${path}/${++work.count}-${Math.random().toString(36).slice(2)}.tar`
  const limit = AbortSignal.timeout(LOCK_WAIT_MS)
  try {
    const waiting = AbortSignal.any([signal, limit])
    return await store.locks.hold('cache-mount', [{ name: id }], { signal: waiting }, async () => {
      const input = { root: directory, records: recordsOnDisk(idMapping), destination, maxBytes }
      const found = await jobs.run('packTree', known === undefined ? input : { ...input, known }, true)
      const { fingerprint, root, packed } = found
      if (packed !== undefined) return { fingerprint, root, ...packed, file: destination }
      if (fingerprint !== known) return tooLarge(maxBytes)
      return { fingerprint, root, diffId: '' as CarriedMount['diffId'], sizeBytes: 0, file: undefined }
    })
  } catch (error) {
    if (limit.aborted && !signal.aborted) return 'another build has it'
    throw error
  }
}

async function compressTar({ session }: PackWork, file: string): Promise<CompressedFile> {
  const { signal } = session
  const { compressFile } = await import('../tar/compression.ts')
  return await compressFile({ source: file, destination: `${file}.zst`, compression: 'zstd', signal })
}

/** A tree that was known has to be packed after all: its target lacks it. */
async function* packedAgain(
  work: PackWork,
  row: CacheMountRow,
  { blob, id }: CarriedMount,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const tar = await tarOf(work, row, Number.MAX_SAFE_INTEGER, undefined)
  const digest = typeof tar === 'string' ? undefined : (await compressTar(work, tar.file!)).digest
  if (digest !== blob.digest)
    throw new BuilderError('OCI_EXPORT_FAILED', `cache mount ${id} was changed by another build while it was written`, {
      hint: 'build again, or add ignore-error=true',
    })
  yield* readFile(`${(tar as Tar).file}.zst`, signal)
}

function readFile(path: string, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  return createReadStream(path, { highWaterMark: 1 << 20, ...(signal === undefined ? {} : { signal }) })
}

/** What no step asked for this time goes from the cache that was read into the one that is written. */
function carriedOn({ mount, reference, open }: FoundMount): PackedMount {
  const repository = registryReference(reference)
  return {
    mount,
    repositories: repository === undefined ? [] : [repository],
    open: (signal = new AbortController().signal) => open(signal),
  }
}

/** Adds mounts to a cache that is about to be written. */
export function addMounts(
  chains: CacheChains,
  blobs: Map<Digest, CacheLayerToWrite>,
  mounts: readonly PackedMount[],
): void {
  if (mounts.length === 0) return
  const newest = formatTime(Math.max(...mounts.map(({ mount }) => mount.usedMs)))
  const add = (
    key: Digest,
    createdAt: string,
    layer: Omit<CacheLayerToWrite, 'descriptor'>,
    blob: PackedMount['mount']['blob'],
    diffId: string,
  ): void => {
    const annotations = { 'buildkit/createdat': createdAt, 'containerd.io/uncompressed': diffId }
    const { mediaType, digest, size } = blob
    blobs.set(digest, { ...layer, descriptor: { mediaType, digest, size, annotations } })
    chains.add(key, [], { layers: [{ blob: digest }], createdAt })
  }
  for (const { mount, repositories, open } of mounts)
    add(mountKey(mount.id), formatTime(mount.usedMs), { repositories, open }, mount.blob, mount.diffId)
  const list = encodeMounts(mounts.map(({ mount }) => mount))
  const descriptor = describe(list, MOUNTS_TYPE)
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield list
  }
  add(MOUNTS_KEY, newest, { repositories: [], open }, descriptor, descriptor.digest)
}
