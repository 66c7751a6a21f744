import { constants, fstatSync, openSync } from 'node:fs'
import { open, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { closeFd, errnoOf, writeFully } from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import { copyBlob, type ExpectedBlob } from './copy-blob.ts'
import { exportError, guarded, temporaryBeside } from './destination.ts'
import type { BlobFile } from './types.ts'

/** Where the bytes of an archive go; nobody sees them before `commit`, except on standard output and in pipes. */
export interface ByteSink {
  /** The chunk may be used again when it resolves. */
  write(chunk: Uint8Array): Promise<void>
  /** Writes a whole file, inside the kernel where it need not be verified. Missing where that is not possible. */
  appendFile?(file: BlobFile, expected: ExpectedBlob, signal?: AbortSignal): Promise<void>
  commit(): Promise<void>
  abort(): Promise<void>
}

/** Small writes are gathered: tar headers come in 512 bytes. */
const BUFFER_BYTES = 1024 * 1024
/** From here on a write of its own costs less than copying. */
const LARGE_BYTES = 256 * 1024

/** A pipe without a reader is asked so often whether it has one. */
const READER_POLL_MS = 50

/** Opens the sink of an archive. @throws OCI_EXPORT_FAILED */
export async function openByteSink(path: string, stdout: Writable, signal?: AbortSignal): Promise<ByteSink> {
  return path === '-' ? standardOutput(stdout, signal) : guarded(path, () => fileSink(path, signal))
}

const STDOUT = 'standard output'

function standardOutput(stdout: Writable, signal: AbortSignal | undefined): ByteSink {
  const { fd } = stdout as { readonly fd?: unknown }
  // Node's stream over a file takes a short write (a disk that is nearly full) for a whole one.
  if (typeof fd === 'number' && isFileOrDevice(fd)) return descriptorSink(STDOUT, fd, () => undefined)
  return streamSink(STDOUT, stdout, { signal, end: (done) => done() })
}

function isFileOrDevice(fd: number): boolean {
  const status = fstatSync(fd)
  return status.isFile() || status.isCharacterDevice()
}

async function fileSink(dest: string, signal: AbortSignal | undefined): Promise<ByteSink> {
  const existing = await stat(dest).catch(() => undefined)
  if (existing?.isDirectory() === true)
    throw new BuilderError('OCI_EXPORT_FAILED', `destination file ${dest} is a directory`, { hint: 'name a file' })
  // A device or a pipe is written to; what it is must not be replaced by a file.
  if (existing?.isFIFO() === true) return pipeSink(dest, signal)
  if (existing !== undefined && !existing.isFile()) {
    const fd = openSync(dest, 'w')
    let isOpen = true
    return descriptorSink(dest, fd, () => {
      if (isOpen) closeFd(fd)
      isOpen = false
    })
  }
  return newFileSink(existing === undefined ? await linkTarget(dest) : await realpath(dest), existing?.mode)
}

/** Where a link leads to which nothing is yet: the file is made there, and the link stays. */
async function linkTarget(dest: string): Promise<string> {
  const target = await readlink(dest).catch(() => undefined)
  return target === undefined ? dest : resolve(dirname(dest), target)
}

/** A pipe by its own name: opening it and writing to it wait, for a reader, where Ctrl-C is heard. */
async function pipeSink(dest: string, signal: AbortSignal | undefined): Promise<ByteSink> {
  for (;;) {
    signal?.throwIfAborted()
    try {
      const fd = openSync(dest, constants.O_WRONLY | constants.O_NONBLOCK)
      // At first need: it costs a cached build milliseconds.
      const { Socket } = process.getBuiltinModule('node:net')
      const socket = new Socket({ fd, readable: false, writable: true })
      return streamSink(dest, socket, { signal, end: (done) => socket.end(done), destroy: () => socket.destroy() })
    } catch (error) {
      if (errnoOf(error) !== 'ENXIO') throw error
    }
    await delay(READER_POLL_MS, undefined, signal === undefined ? {} : { signal })
  }
}

interface StreamOptions {
  readonly signal: AbortSignal | undefined
  end(done: () => void): void
  destroy?(): void
}

/**
 * A pipe or socket. Every wait is for the callback of one write, which comes once whatever happens: `drain` may have
 * passed, or never come from a pipe whose reader has left.
 */
function streamSink(name: string, stream: Writable, options: StreamOptions): ByteSink {
  const { signal } = options
  let failure: unknown
  // Without a listener the error would end the process, with a stack.
  const onError = (error: unknown): void => void (failure ??= error)
  stream.on('error', onError)

  async function settled(start: (done: (error?: Error | null) => void) => void): Promise<void> {
    signal?.throwIfAborted()
    let stop = (): void => undefined
    try {
      await new Promise<void>((resolve, reject) => {
        stop = () => reject(signal?.reason as Error)
        signal?.addEventListener('abort', stop, { once: true })
        start((error) => (error ? reject(error) : resolve()))
      })
    } catch (error) {
      failure ??= error
    } finally {
      signal?.removeEventListener('abort', stop)
    }
    if (failure !== undefined) throw exportError(name, failure)
  }

  const gatherer = createGatherer((bytes) => settled((done) => stream.write(bytes, done)))
  return {
    write: gatherer.write,
    async commit() {
      await gatherer.flush()
      await settled((done) => options.end(() => done()))
      stream.off('error', onError)
    },
    // What is written cannot be taken back; the listener stays, for an error that is still to come.
    abort: async () => options.destroy?.(),
  }
}

/** Small chunks in one buffer, which is used again and again: the memory does not follow what passes. */
function createGatherer(write: (bytes: Uint8Array) => void | Promise<void>): {
  write(chunk: Uint8Array): Promise<void>
  flush(): Promise<void>
} {
  let buffer: Buffer | undefined
  let used = 0

  async function flush(): Promise<void> {
    const length = used
    used = 0
    if (length > 0) await write(buffer!.subarray(0, length))
  }

  return {
    flush,
    async write(chunk) {
      if (chunk.length >= LARGE_BYTES || used + chunk.length > BUFFER_BYTES) await flush()
      if (chunk.length >= LARGE_BYTES) return write(chunk)
      buffer ??= Buffer.allocUnsafe(BUFFER_BYTES)
      buffer.set(chunk, used)
      used += chunk.length
    },
  }
}

/** A file or device that is there already, from where it stands on. */
function descriptorSink(name: string, fd: number, close: () => void): ByteSink {
  const gatherer = createGatherer((bytes) => guarded(name, async () => writeFully(fd, bytes)))
  return {
    write: gatherer.write,
    async commit() {
      await gatherer.flush()
      await guarded(name, async () => close())
    },
    abort: async () => close(),
  }
}

/** A file that appears whole under its name, or not at all. */
async function newFileSink(dest: string, modeBefore: number | undefined): Promise<ByteSink> {
  const temporary = temporaryBeside(dest)
  const handle = await open(temporary, 'wx', 0o644)
  // Whom the file of that name was for is known: a build does not open it to others.
  if (modeBefore !== undefined) await handle.chmod(modeBefore & 0o777)
  let position = 0
  const gatherer = createGatherer((bytes) =>
    guarded(dest, async () => {
      writeFully(handle.fd, bytes, position)
      position += bytes.length
    }),
  )
  return {
    async appendFile(file, expected, signal) {
      await gatherer.flush()
      await guarded(dest, () => copyBlob(file, expected, { fd: handle.fd, position }, signal))
      position += expected.size
    },
    write: gatherer.write,
    async commit() {
      await gatherer.flush()
      await guarded(dest, async () => {
        await handle.close()
        await rename(temporary, dest)
      })
    },
    async abort() {
      await handle.close().catch(() => undefined)
      await rm(temporary, { force: true })
    },
  }
}
