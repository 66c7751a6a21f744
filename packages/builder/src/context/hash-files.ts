import { createHash, hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import {
  closeFd,
  errnoName,
  errnoOf,
  FINGERPRINT_WORDS,
  lastStatRecord,
  openResolved,
  OpenFlags,
  readFileIntoRaw,
  readFully,
  statFd,
  type PackedEntries,
} from '@ts-oci/runtime'
import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'

/** A file to hash, and what its directory said of it. */
export interface HashJob {
  readonly path: ByteString
  readonly size: number
  readonly entries: PackedEntries
  readonly index: number
  /** Hashed before the file's bytes. */
  readonly head?: Uint8Array | undefined
}

// Up to here a file is read whole, in one call, into one buffer that all files share.
const WHOLE_BYTES = 1 << 20
const HEAD_BYTES = 1 << 12

// Synchronous calls are six times faster than promises on many small files (limits 2, 3); between slices of this
// length timers, signals and the progress display get their turn.
const SLICE_MS = 25

/**
 * Hashes files of a context; `done` gets each sha256 (32 bytes) and whether the file's fingerprint was still that of
 * the listing. Throws OCI_CONTEXT_CHANGED for a file whose size or time differs from the listing.
 */
export async function hashFiles(
  rootFd: number,
  jobs: readonly HashJob[],
  signal: AbortSignal | undefined,
  done: (job: HashJob, digest: Buffer, isUnchanged: boolean) => void,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(HEAD_BYTES + WHOLE_BYTES + 1)
  const fingerprint = new Uint32Array(FINGERPRINT_WORDS)
  let sliceEnd = performance.now() + SLICE_MS
  for (const job of jobs) {
    const digest =
      job.size > WHOLE_BYTES || (job.head?.length ?? 0) > HEAD_BYTES
        ? await hashLarge(rootFd, job, buffer, signal)
        : hashWhole(rootFd, job, buffer)
    job.entries.copyFingerprint(job.index, fingerprint, 0)
    done(job, digest, lastStatRecord().hasFingerprint(0, fingerprint, 0))
    if (performance.now() < sliceEnd) continue
    await setImmediate()
    signal?.throwIfAborted()
    sliceEnd = performance.now() + SLICE_MS
  }
}

function hashWhole(rootFd: number, job: HashJob, buffer: Buffer): Buffer {
  const start = job.head?.length ?? 0
  if (job.head !== undefined) buffer.set(job.head)
  // One byte more than it should have tells that a file has grown.
  const count = readFileIntoRaw(rootFd, job.path, buffer, start, job.size + 1)
  if (count < 0) throw unreadable(job, errnoName(-count))
  if (count !== job.size) throw changed(job)
  checkStatus(job)
  return hash('sha256', buffer.subarray(0, start + count), 'buffer')
}

async function hashLarge(
  rootFd: number,
  job: HashJob,
  buffer: Buffer,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  let fd: number
  try {
    fd = openResolved(rootFd, job.path, OpenFlags.read | OpenFlags.nonBlocking, 'beneath')
  } catch (error) {
    throw unreadable(job, errnoOf(error) ?? 'unknown', error)
  }
  try {
    const state = createHash('sha256')
    if (job.head !== undefined) state.update(job.head)
    let position = 0
    for (;;) {
      const count = readFully(fd, buffer, 0, WHOLE_BYTES, position)
      state.update(buffer.subarray(0, count))
      position += count
      if (count < WHOLE_BYTES || position > job.size) break
      await setImmediate()
      signal?.throwIfAborted()
    }
    if (position !== job.size) throw changed(job)
    // After reading: a file that was written meanwhile shows it by its times.
    statFd(fd)
    checkStatus(job)
    return state.digest()
  } finally {
    closeFd(fd)
  }
}

function checkStatus(job: HashJob): void {
  const { entries, index } = job
  const now = lastStatRecord()
  if (
    !now.isFile(0) ||
    now.size(0) !== job.size ||
    now.mtimeSec(0) !== entries.mtimeSec(index) ||
    now.mtimeNsec(0) !== entries.mtimeNsec(index)
  )
    throw changed(job)
}

function changed(job: HashJob, cause?: unknown): BuilderError {
  return new BuilderError('OCI_CONTEXT_CHANGED', `"${fromByteString(job.path)}" changed while it was read`, {
    hint: 'build again when nothing writes to the build context',
    cause,
    details: { path: job.path },
  })
}

function unreadable(job: HashJob, errno: string, cause?: unknown): BuilderError {
  if (errno !== 'EACCES' && errno !== 'EPERM' && errno !== 'EIO') return changed(job, cause)
  const why = errno === 'EIO' ? 'input/output error' : 'permission denied'
  return new BuilderError(
    'OCI_CONTEXT_INVALID',
    `"${fromByteString(job.path)}" of the build context cannot be read: ${why}`,
    {
      hint: 'exclude it in .dockerignore, or give yourself the right to read it',
      cause,
      details: { path: job.path, errno },
    },
  )
}
