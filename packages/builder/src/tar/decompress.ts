import type { Writable } from 'node:stream'
import { openPath, OpenFlags, readFully, withFd } from '@ts-oci/runtime'
import { BuilderError, isTsOciError } from '../base/errors.ts'
import { gunzip } from './gunzip.ts'
import { inflateZstd } from './zstd-frames.ts'

export type ArchiveCompression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz'

const MAGIC: readonly (readonly [ArchiveCompression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
]

/** How many first bytes `detectCompression` wants. */
export const MAGIC_BYTES = 6

/** What the first bytes of a file say; names are never asked. A skippable zstd frame counts as zstd. */
export function detectCompression(start: Uint8Array): ArchiveCompression {
  for (const [compression, magic] of MAGIC) if (magic.every((byte, index) => start[index] === byte)) return compression
  const isSkippable =
    start.length >= 4 && (start[0]! & 0xf0) === 0x50 && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18
  return isSkippable ? 'zstd' : 'none'
}

/** The same of a file. */
export function detectFileCompression(path: string): ArchiveCompression {
  const start = Buffer.alloc(MAGIC_BYTES)
  return withFd(openPath(path, OpenFlags.read), (fd) =>
    detectCompression(start.subarray(0, readFully(fd, start, 0, MAGIC_BYTES, 0))),
  )
}

/**
 * Decompresses a stream. gzip of several members and zstd of several frames are read to their end; bzip2 and xz by the
 * programs of that name. `chunkBytes`: how large a piece of gzip may become before it is given out. Fails with OCI_COMPRESSION_UNSUPPORTED when the program is missing, OCI_ARCHIVE_INVALID when
 * the data is damaged.
 */
export function decompress(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  compression: ArchiveCompression,
  chunkBytes?: number,
): AsyncIterable<Buffer> {
  if (compression === 'none') return asBuffers(source)
  if (compression === 'gzip') return gunzip(source, chunkBytes)
  if (compression === 'zstd') return withMessage(inflateZstd(source))
  return throughProgram(source, compression)
}

/** One by one, nothing kept: a source that uses its buffer again may. */
async function* asBuffers(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const { buffer, byteOffset, byteLength } of source) yield Buffer.from(buffer, byteOffset, byteLength)
}

/** Errors of the source pass as they are; those of node:zlib become ours. */
async function* withMessage(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* pieces
  } catch (cause) {
    const code = (cause as { code?: unknown }).code
    const isZlib = typeof code === 'string' && /^(?:Z_|ZSTD_|ERR_ZLIB)/.test(code)
    if (isTsOciError(cause) || !isZlib) throw cause
    throw new BuilderError('OCI_ARCHIVE_INVALID', 'the zstd data is damaged or cut off', { cause })
  }
}

async function* throughProgram(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  program: 'bzip2' | 'xz',
): AsyncGenerator<Buffer> {
  // At first need: with what it loads, it costs a cached build milliseconds.
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = new Promise<{ readonly status: number | null; readonly error?: Error }>((resolve) => {
    child.on('error', (error) => resolve({ status: null, error }))
    child.on('close', (status) => resolve({ status }))
  })
  let message = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (message = (message + text).slice(0, 500)))
  let sourceError: { readonly cause: unknown } | undefined
  // A program that stops reading early (damaged data) says why by its status.
  child.stdin.on('error', () => undefined)
  feed(child.stdin, source).catch((cause: unknown) => {
    sourceError = { cause }
    child.kill('SIGKILL')
  })
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer
    const { status, error } = await ended
    if (sourceError !== undefined) throw sourceError.cause
    if (error !== undefined) throw programMissing(program, error)
    if (status !== 0)
      throw new BuilderError('OCI_ARCHIVE_INVALID', `the ${program} data is damaged or cut off: ${message.trim()}`)
  } finally {
    // Where no process may be signalled (the confined one for file jobs) the end of its input ends it.
    child.stdin.destroy()
    child.kill('SIGKILL')
    await ended
  }
}

/** A chunk may be used again once the next one is asked for: so only when it has left. Ends where nobody reads any more. */
async function feed(stdin: Writable, source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
  for await (const chunk of source) {
    const error = await new Promise<unknown>((resolve) => stdin.write(chunk, resolve))
    if (error !== null && error !== undefined) return
  }
  stdin.end()
}

function programMissing(program: string, cause: Error): BuilderError {
  return new BuilderError(
    'OCI_COMPRESSION_UNSUPPORTED',
    `${program} archives need the program "${program}", which cannot be started`,
    {
      hint: `install ${program === 'xz' ? 'xz-utils' : 'bzip2'}, or compress the archive with gzip or zstd`,
      cause,
      details: { program },
    },
  )
}
