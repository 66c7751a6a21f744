import { randomBytes } from 'node:crypto'
import { open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { copyRange, errnoOf, readFully, writeFully } from '@ts-oci/runtime'
import { BuilderError, isTsOciError } from '../errors.ts'
import { mismatch } from '../content/blobs.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import type { BlobFile, ExportDefaults } from './types.ts'

/** Where the bytes of an archive go; nobody sees them before `commit`, except on standard output. */
export interface ByteSink {
  write(chunk: Uint8Array): Promise<void>
  /** Writes a whole file, inside the kernel where it need not be verified. Missing where that is not possible. */
  appendFile?(file: BlobFile, expected: ExpectedBlob, signal?: AbortSignal): Promise<void>
  commit(): Promise<void>
  abort(): Promise<void>
}

export interface ExpectedBlob {
  readonly digest: Digest
  readonly size: number
}

/** Small writes are gathered: tar headers come in 512 bytes. */
const BUFFER_BYTES = 1024 * 1024

/** `dest` as an absolute path, `-` for standard output (the default when it is no terminal). @throws OCI_OPTION_INVALID */
export function readFileDestination(type: string, dest: string | undefined, defaults: ExportDefaults): string {
  if (dest !== undefined && dest !== '' && dest !== '-') return resolve(defaults.workingDirectory, dest)
  if (!defaults.isTerminal) return '-'
  throw new BuilderError('OCI_OPTION_INVALID', `output type=${type}: refusing to write an archive to the terminal`, {
    hint: `add dest=FILE, or redirect standard output`,
  })
}

/** `dest` of a directory. @throws OCI_OPTION_INVALID */
export function readDirectoryDestination(type: string, dest: string | undefined, defaults: ExportDefaults): string {
  if (dest !== undefined && dest !== '' && dest !== '-') return resolve(defaults.workingDirectory, dest)
  throw new BuilderError('OCI_OPTION_INVALID', `output type=${type}: a directory is needed`, {
    hint: 'add dest=DIRECTORY',
  })
}

/** Opens the sink of an archive. */
export async function openByteSink(path: string, stdout: Writable): Promise<ByteSink> {
  return path === '-' ? streamSink(stdout) : guarded(path, () => fileSink(path))
}

function streamSink(stdout: Writable): ByteSink {
  let failure: unknown
  stdout.on('error', (error) => (failure = error))
  return {
    async write(chunk) {
      if (failure !== undefined) throw exportError('standard output', failure)
      // `drain` never comes from a pipe whose reader has left.
      if (!stdout.write(chunk))
        await Promise.race([once(stdout, 'drain'), once(stdout, 'close')]).catch(
          (error: unknown) => (failure ??= error),
        )
    },
    async commit() {
      if (stdout.writableLength > 0) await once(stdout, 'drain')
      if (failure !== undefined) throw exportError('standard output', failure)
    },
    abort: async () => undefined,
  }
}

async function fileSink(dest: string): Promise<ByteSink> {
  const existing = await stat(dest).catch(() => undefined)
  if (existing?.isDirectory() === true)
    throw new BuilderError('OCI_EXPORT_FAILED', `destination file ${dest} is a directory`, { hint: 'name a file' })
  // A device or a pipe is written to; what it is must not be replaced by a file.
  if (existing !== undefined && !existing.isFile()) return handleSink(dest, await open(dest, 'w'), undefined)
  const target = existing === undefined ? dest : await realpath(dest)
  const temporary = temporaryBeside(target)
  return handleSink(target, await open(temporary, 'wx', 0o644), temporary)
}

/** A hidden name in the same directory: renaming it is atomic. */
export function temporaryBeside(target: string): string {
  return join(
    dirname(target),
    `.${basename(target).slice(0, 100)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`,
  )
}

function handleSink(dest: string, handle: FileHandle, temporary: string | undefined): ByteSink {
  let pending: Uint8Array[] = []
  let pendingBytes = 0
  // Only a file of our own is written by position: pipes and devices have none.
  let position = 0

  async function flush(): Promise<void> {
    const chunks = pending
    pending = []
    pendingBytes = 0
    await guarded(dest, async () => {
      if (temporary === undefined && chunks.length > 0) {
        const { bytesWritten } = await handle.writev(chunks)
        await checkWritten(handle, chunks, bytesWritten)
      } else if (temporary !== undefined) {
        for (const chunk of chunks) {
          writeFully(handle.fd, chunk, position)
          position += chunk.length
        }
      }
    })
  }

  async function appendFile(file: BlobFile, expected: ExpectedBlob, signal?: AbortSignal): Promise<void> {
    await flush()
    await guarded(dest, () => copyBlob(file, expected, { fd: handle.fd, position }, signal))
    position += expected.size
  }

  return {
    ...(temporary === undefined ? {} : { appendFile }),
    async write(chunk) {
      // Writers of archives reuse nothing that they have given away, so chunks are kept and not copied.
      pending.push(chunk)
      pendingBytes += chunk.length
      if (pendingBytes >= BUFFER_BYTES) await flush()
    },
    async commit() {
      await flush()
      await guarded(dest, async () => {
        await handle.close()
        if (temporary !== undefined) await rename(temporary, dest)
      })
    },
    async abort() {
      await handle.close().catch(() => undefined)
      if (temporary !== undefined) await rm(temporary, { force: true })
    },
  }
}

const COPY_BYTES = 16 * 1024 * 1024

/** Copies a blob into an open file; what is not known to be right is verified on its way. */
async function copyBlob(
  file: BlobFile,
  expected: ExpectedBlob,
  target: { readonly fd: number; readonly position: number },
  signal: AbortSignal | undefined,
): Promise<void> {
  const source = await open(file.path)
  const digester = createDigester()
  const buffer = file.isVerified ? undefined : Buffer.allocUnsafe(Math.min(BUFFER_BYTES, expected.size))
  let done = 0
  try {
    while (done < expected.size) {
      signal?.throwIfAborted()
      const end = Math.min(expected.size, done + COPY_BYTES)
      const start = done
      if (buffer === undefined) done += copyRange(source.fd, done, target.fd, target.position + done, end - done)
      while (buffer !== undefined && done < end) {
        const count = readFully(source.fd, buffer, 0, Math.min(buffer.length, end - done), done)
        const piece = buffer.subarray(0, count)
        digester.update(piece)
        writeFully(target.fd, piece, target.position + done)
        done += count
        if (count < buffer.length) break
      }
      if (done === start) break
      // Ctrl-C is heard between two pieces.
      await setImmediate()
    }
    const { size } = await source.stat()
    const digest = buffer === undefined ? expected.digest : digester.digest()
    if (digest !== expected.digest || size !== expected.size || done !== size)
      throw mismatch(expected, { digest, sizeBytes: size })
  } finally {
    await source.close()
  }
}

/** writev may stop early (a signal, a nearly full disk): the rest is written piece by piece. */
async function checkWritten(handle: FileHandle, chunks: readonly Uint8Array[], written: number): Promise<void> {
  let skip = written
  for (const chunk of chunks) {
    if (skip >= chunk.length) {
      skip -= chunk.length
      continue
    }
    await handle.writeFile(chunk.subarray(skip))
    skip = 0
  }
}

/** Runs work on a destination; what the disk refuses becomes OCI_EXPORT_FAILED. */
export async function guarded<Result>(dest: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw exportError(dest, error)
  }
}

/** An error of the system while writing to `dest` as ours; errors of ours pass. */
export function exportError(dest: string, cause: unknown): unknown {
  if (isTsOciError(cause) && cause.code !== 'OCI_RUNTIME_FILES') return cause
  const errno = errnoOf(cause)
  if (errno === undefined) return cause
  return new BuilderError('OCI_EXPORT_FAILED', `cannot write ${dest}: ${WORDS[errno] ?? errno}`, {
    cause,
    hint: HINTS[errno],
    details: { errno },
  })
}

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on device',
  EDQUOT: 'disk quota exceeded',
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  EPIPE: 'its reader has gone',
  ENOTDIR: 'a parent is not a directory',
}
const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space, or name a destination on a larger disk',
  EDQUOT: 'free some space, or name a destination on a larger disk',
  ENOENT: 'make its directory first',
  EACCES: 'name a destination that you may write',
  EPERM: 'name a destination that you may write',
  EROFS: 'name a destination that you may write',
}
