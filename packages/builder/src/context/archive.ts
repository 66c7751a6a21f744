import { join } from 'node:path'
import { closeFd, openPath, OpenFlags, readFully, writeFully } from '@ts-oci/runtime'
import { fromByteString, type ByteString } from '../byte-string.ts'
import { BuilderError } from '../errors.ts'
import { digestSelectors } from '../layer/content-digest.ts'
import { decompress, detectCompression, MAGIC_BYTES } from '../layer/decompress.ts'
import { makeEntry } from '../layer/entry.ts'
import { readForeignArchive, type ForeignEntry } from '../layer/foreign-archive.ts'
import { BLOCK_BYTES, readHeader } from '../layer/header.ts'
import { baseName, joinPath, parentPath } from '../layer/paths.ts'
import { resolvePath } from '../layer/resolve.ts'
import { editTree, emptyTree, newLinkKey, type TreeEditor, type TreeNode } from '../layer/tree.ts'
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
  const open = (): AsyncIterable<Buffer> => decompress(chunksOf(file, signal), compression)
  const entries = await readForeignArchive(open, join(options.temporaryDirectory, 'context.content'))
  signal?.throwIfAborted()
  return { kind: 'archive', context: contextOfTree(placeEntries(entries), signal) }
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

/** As `tar -x` in an empty root: later entries replace earlier ones, directories become one, parents are made. */
function placeEntries(entries: readonly ForeignEntry[]): TreeNode {
  const edit = editTree(emptyTree())
  for (const { entry: raw, content } of entries) {
    const name = cleanMember(raw.name)
    if (name === '') continue
    const parent = followParents(edit, parentPath(name))
    makeDirectories(edit, parent)
    const path = joinPath(parent, baseName(name))
    const standing = edit.node(path)?.entry
    if (standing !== undefined && !(standing.type === 'directory' && raw.type === 'directory')) edit.remove(path)
    if (raw.type === 'hardlink') {
      placeLink(edit, path, cleanMember(raw.link))
      continue
    }
    const isDevice = raw.type === 'character' || raw.type === 'block'
    edit.put(
      makeEntry({
        path,
        type: raw.type,
        mode: raw.type === 'symlink' ? 0o777 : raw.mode,
        uid: raw.uid,
        gid: raw.gid,
        size: raw.size,
        mtimeSec: Math.max(raw.mtimeSec, 0),
        mtimeNsec: raw.mtimeSec < 0 ? 0 : raw.mtimeNsec,
        link: raw.type === 'symlink' ? raw.link : undefined,
        devMajor: isDevice ? raw.devMajor : undefined,
        devMinor: isDevice ? raw.devMinor : undefined,
        xattrs: raw.xattrs,
        content,
      }),
    )
  }
  return edit.snapshot()
}

function followParents(edit: TreeEditor, path: ByteString): ByteString {
  return resolvePath(edit.node('')!, path, true).path
}

function makeDirectories(edit: TreeEditor, path: ByteString): void {
  const standing = edit.node(path)?.entry
  if (standing?.type === 'directory') return
  if (standing !== undefined) throw invalid(path, 'is a file and holds others')
  makeDirectories(edit, parentPath(path))
  edit.put(makeEntry({ path, type: 'directory', mode: 0o755 }))
}

function placeLink(edit: TreeEditor, path: ByteString, target: ByteString): void {
  const to = joinPath(followParents(edit, parentPath(target)), baseName(target))
  const file = edit.node(to)?.entry
  if (file === undefined || file.type === 'directory')
    throw invalid(path, `is a hard link to "${fromByteString(to)}", which is no file`)
  const linkKey = file.linkKey ?? newLinkKey()
  if (file.linkKey === undefined) edit.put({ ...file, linkKey })
  edit.put({ ...file, path, linkKey })
}

/** A member's path below the root. One that climbs out is an attack. */
function cleanMember(name: ByteString): ByteString {
  const kept: string[] = []
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') kept.push(part)
    else if (kept.pop() === undefined) throw invalid(name, 'leads out of the context')
  }
  return kept.join('/')
}

function invalid(path: ByteString, why: string): BuilderError {
  return new BuilderError('OCI_ARCHIVE_INVALID', `the archive's entry "${fromByteString(path)}" ${why}`, {
    details: { path },
  })
}
