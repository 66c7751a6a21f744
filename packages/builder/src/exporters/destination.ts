import { randomBytes } from 'node:crypto'
import { open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { once } from 'node:events'
import { errnoOf } from '@ts-oci/runtime'
import { BuilderError, isTsOciError } from '../errors.ts'
import type { ExportDefaults } from './types.ts'

/** Where the bytes of an archive go; nobody sees them before `commit`, except on standard output. */
export interface ByteSink {
  write(chunk: Uint8Array): Promise<void>
  commit(): Promise<void>
  abort(): Promise<void>
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

  async function flush(): Promise<void> {
    const chunks = pending
    pending = []
    pendingBytes = 0
    if (chunks.length > 0)
      await guarded(dest, () =>
        handle.writev(chunks).then((result) => checkWritten(handle, chunks, result.bytesWritten)),
      )
  }

  return {
    async write(chunk) {
      // The tar packer reuses nothing that it has pushed, so chunks are kept and not copied.
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
