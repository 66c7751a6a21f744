import { join } from 'node:path'
import { closeFd, openPath, OpenFlags, readFully, writeFully } from '@ts-oci/runtime'
import { BuilderError } from '../errors.ts'
import { digestSelectors } from '../layer/content-digest.ts'
import { decompress, detectCompression, MAGIC_BYTES } from '../layer/decompress.ts'
import { createFileTarget } from '../layer/file-target.ts'
import { readForeignArchive } from '../layer/foreign-archive.ts'
import { BLOCK_BYTES } from '../layer/header.ts'
import { placeArchive } from '../layer/place-archive.ts'
import { readHeader } from '../layer/tar-header.ts'
import { emptyTree, type TreeNode } from '../layer/tree.ts'
import { viewOfTree } from '../layer/view.ts'
import type { LocalResult } from '../ops/types.ts'
import { createContentHasher } from './hash-content.ts'

export interface StreamContextOptions {
  /** Standard input, or the body of a download. */
  readonly stream: AsyncIterable<Uint8Array>
  /** Private directory of ours; what the context holds lies there until the build is done. */
  readonly temporaryDirectory: string
  readonly signal?: AbortSignal | undefined
}

/** What came: an archive, or the text of a Dockerfile with an empty context. */
export type StreamContext =
  | { readonly kind: 'archive'; readonly context: LocalResult }
  | { readonly kind: 'dockerfile'; readonly text: Uint8Array; readonly context: LocalResult }

// A Dockerfile of that size is none; what fits is kept in memory.
const DOCKERFILE_MAX_BYTES = 16 << 20

/**
 * Reads a stream that is a context (a tar, plain or compressed by gzip, zstd, bzip2 or xz, told by its first bytes)
 * or a Dockerfile. Owners, modes and times are those of the archive; an ignore file in it is a file like others, as it
 * is for BuildKit. Throws OCI_ARCHIVE_INVALID, OCI_COMPRESSION_UNSUPPORTED, OCI_CONTEXT_INVALID.
 */
export async function openStreamContext(options: StreamContextOptions): Promise<StreamContext> {
  const file = join(options.temporaryDirectory, 'context.download')
  const sizeBytes = await spool(options.stream, file, options.signal)
  return openContextFile({ file, sizeBytes, temporaryDirectory: options.temporaryDirectory, signal: options.signal })
}

export interface ContextFileOptions {
  readonly file: string
  readonly sizeBytes: number
  readonly temporaryDirectory: string
  readonly signal?: AbortSignal | undefined
}

/** As `openStreamContext`, for bytes that lie in a file already. */
export async function openContextFile(options: ContextFileOptions): Promise<StreamContext> {
  const { file, sizeBytes, signal } = options
  if (sizeBytes === 0)
    throw new BuilderError('OCI_CONTEXT_INVALID', 'the context on standard input is empty', {
      hint: 'pipe a tar archive or a Dockerfile into the build',
    })
  const start = readStart(file, Math.max(MAGIC_BYTES, BLOCK_BYTES))
  const compression = detectCompression(start)
  if (compression === 'none' && !isTarHeader(start)) return openDockerfile(file, sizeBytes)
  const tar = decompress(chunksOf(file, signal), compression)
  const entries = await readForeignArchive(tar, join(options.temporaryDirectory, 'context.content'))
  signal?.throwIfAborted()
  // What is made on the way has the time of its making.
  const nowMs = Date.now()
  const target = createFileTarget(emptyTree(), { sec: Math.floor(nowMs / 1000), nsec: (nowMs % 1000) * 1_000_000 })
  placeArchive(entries, target, '', undefined)
  return { kind: 'archive', context: contextOfTree(target.snapshot(), signal) }
}

/** A context that holds nothing: that of a Dockerfile on standard input. */
export function emptyContext(): LocalResult {
  return contextOfTree(emptyTree(), undefined)
}

function contextOfTree(root: TreeNode, signal: AbortSignal | undefined): LocalResult {
  const view = viewOfTree(root)
  const hasher = createContentHasher(signal)
  return { kind: 'local', view, digestPaths: (selectors) => digestSelectors(view, selectors, hasher) }
}

function openDockerfile(file: string, sizeBytes: number): StreamContext {
  if (sizeBytes > DOCKERFILE_MAX_BYTES)
    throw new BuilderError(
      'OCI_CONTEXT_INVALID',
      'what came on standard input is neither a tar archive nor a Dockerfile',
      { hint: 'a context is a tar, plain or compressed by gzip, zstd, bzip2 or xz' },
    )
  return { kind: 'dockerfile', text: readStart(file, sizeBytes), context: emptyContext() }
}

async function spool(
  stream: AsyncIterable<Uint8Array>,
  file: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const fd = openPath(file, OpenFlags.write | OpenFlags.create | OpenFlags.exclusive, 0o600)
  let sizeBytes = 0
  try {
    for await (const chunk of stream) {
      signal?.throwIfAborted()
      writeFully(fd, chunk)
      sizeBytes += chunk.length
    }
  } finally {
    closeFd(fd)
  }
  return sizeBytes
}

function readStart(file: string, length: number): Buffer {
  const fd = openPath(file, OpenFlags.read)
  try {
    const buffer = Buffer.alloc(length)
    return buffer.subarray(0, readFully(fd, buffer, 0, length, 0))
  } finally {
    closeFd(fd)
  }
}

const CHUNK_BYTES = 1 << 18

async function* chunksOf(file: string, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  const fd = openPath(file, OpenFlags.read)
  try {
    for (;;) {
      signal?.throwIfAborted()
      // Whoever decompresses may keep a chunk: each has its own memory.
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
      const count = readFully(fd, buffer, 0, CHUNK_BYTES, null)
      if (count > 0) yield buffer.subarray(0, count)
      if (count < CHUNK_BYTES) return
    }
  } finally {
    closeFd(fd)
  }
}

function isTarHeader(start: Buffer): boolean {
  if (start.length < BLOCK_BYTES) return false
  // An empty archive is two blocks of zeros.
  if (start.every((byte) => byte === 0)) return true
  try {
    readHeader(start, 0)
    return true
  } catch {
    return false
  }
}
