import { join } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import { digestSelectors } from '../view/content-digest.ts'
import { createChunkInput, type ChunkInput } from '../tar/chunk-input.ts'
import { decompress, detectCompression } from '../tar/decompress.ts'
import { createFileTarget } from '../view/file-target.ts'
import { readForeignArchive } from '../tar/foreign-archive.ts'
import { BLOCK_BYTES } from '../tar/header.ts'
import { placeArchive } from '../tar/place-archive.ts'
import { readHeader } from '../tar/tar-header.ts'
import { emptyTree, type TreeNode } from '../view/tree.ts'
import { viewOfTree } from '../view/view.ts'
import type { LocalResult } from './types.ts'
import { createContentHasher, createHeadedHasher } from './hash-content.ts'

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

// Behind the end of an archive: who writes it wants to be rid of it, an endless one is cut off.
const TAIL_MAX_BYTES = 64 << 20

/**
 * Reads a stream that is a context (a tar, plain or compressed by gzip, zstd, bzip2 or xz, told by its first bytes)
 * or a Dockerfile. Owners, modes and times are those of the archive; an ignore file in it is a file like others, as it
 * is for BuildKit. The stream itself is kept nowhere. Throws OCI_ARCHIVE_INVALID, OCI_COMPRESSION_UNSUPPORTED,
 * OCI_CONTEXT_INVALID.
 */
export async function openStreamContext(options: StreamContextOptions): Promise<StreamContext> {
  const input = createChunkInput(options.stream)
  try {
    return await readContext(input, options)
  } finally {
    await input.close()
  }
}

async function readContext(input: ChunkInput, options: StreamContextOptions): Promise<StreamContext> {
  const { signal, temporaryDirectory } = options
  const start = await input.take(BLOCK_BYTES)
  if (start.length === 0)
    throw new BuilderError('OCI_CONTEXT_INVALID', 'the context on standard input is empty', {
      hint: 'pipe a tar archive or a Dockerfile into the build',
    })
  const compression = detectCompression(start)
  if (compression === 'none' && !isTarHeader(start)) return readDockerfile(start, input, signal)
  const tar = decompress(chunksOf(start, input, signal), compression)
  const entries = await readForeignArchive(tar, join(temporaryDirectory, 'context.content'))
  for await (const _ of chunksUpTo(TAIL_MAX_BYTES, input, signal));
  // What is made on the way has the time of its making.
  const nowMs = Date.now()
  const target = createFileTarget(emptyTree(), { sec: Math.floor(nowMs / 1000), nsec: (nowMs % 1000) * 1_000_000 })
  placeArchive(entries, target, '', undefined)
  return { kind: 'archive', context: contextOfTree(target.snapshot(), signal) }
}

/** A context that holds nothing: that of a Dockerfile on standard input. */
function emptyContext(): LocalResult {
  return contextOfTree(emptyTree(), undefined)
}

function contextOfTree(root: TreeNode, signal: AbortSignal | undefined): LocalResult {
  const view = viewOfTree(root)
  const hasher = createContentHasher(signal)
  return {
    kind: 'local',
    view,
    digestPaths: (selectors) => digestSelectors(view, selectors, hasher),
    sharedDigests: async (selectors) => {
      const { sharedDigests } = await import('../view/shared-digest.ts')
      return sharedDigests(view, selectors, createHeadedHasher(signal), { isContext: true })
    },
  }
}

async function readDockerfile(
  start: Buffer,
  input: ChunkInput,
  signal: AbortSignal | undefined,
): Promise<StreamContext> {
  const chunks = [start]
  for await (const chunk of chunksUpTo(DOCKERFILE_MAX_BYTES + 1, input, signal)) chunks.push(Buffer.from(chunk))
  const text = Buffer.concat(chunks)
  if (text.length > DOCKERFILE_MAX_BYTES)
    throw new BuilderError(
      'OCI_CONTEXT_INVALID',
      'what came on standard input is neither a tar archive nor a Dockerfile',
      { hint: 'a context is a tar, plain or compressed by gzip, zstd, bzip2 or xz' },
    )
  return { kind: 'dockerfile', text, context: emptyContext() }
}

async function* chunksOf(
  start: Buffer,
  input: ChunkInput,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  yield start
  yield* chunksUpTo(Number.POSITIVE_INFINITY, input, signal)
}

/** Chunks until there are so many bytes of them. */
async function* chunksUpTo(
  maxBytes: number,
  input: ChunkInput,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  let left = maxBytes
  while (left > 0) {
    signal?.throwIfAborted()
    const chunk = await input.next()
    if (chunk === undefined) return
    left -= chunk.length
    yield chunk
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
