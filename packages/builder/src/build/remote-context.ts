import { toByteString } from '../base/byte-string.ts'
import { openStreamContext, type StreamContext } from '../context/archive.ts'
import type { Store, TemporaryDirectory } from '../store/types.ts'
import { MAX_BUILD_FILE_BYTES, tooLarge } from './build-file.ts'
import { BuilderError, isTsOciError, scrubCredentials } from '../base/errors.ts'
import type { LayerReader } from '../layers/types.ts'
import { isComplaint } from '../frontends/dockerfile/expand/complaint.ts'
import { parseGitReference, type GitReference } from '../frontends/dockerfile/read/git-reference.ts'
import { gitSource, httpSource } from '../frontends/dockerfile/lower/sources.ts'
import type { Edge, VertexMetadata } from '../graph/types.ts'
import { createVertex } from '../graph/vertex.ts'
import { contentChunks } from '../disk/file-bytes.ts'
import { detectCompression } from '../tar/decompress.ts'
import { BLOCK_BYTES } from '../tar/header.ts'
import { readHeader } from '../tar/tar-header.ts'
import type { View, ViewEntry } from '../view/types.ts'
import type { FileActionCopy, OpSpec } from '../graph/op-specs.ts'

/** Contexts that are no directory of this machine. */
export interface RemoteContexts extends AsyncDisposable {
  /** What comes on standard input: an archive, or a Dockerfile. */
  openStream(stdin: AsyncIterable<Uint8Array>): Promise<StreamContext>
  /** A repository, an archive or a Dockerfile behind a URL. */
  openUrl(url: string, options: { readonly keepGitDirectory: boolean }): Promise<UrlContext>
}

export interface UrlContext {
  /** What COPY reads. */
  readonly edge: Edge
  /** Bytes of a file in it; undefined when there is none. */
  readFile(path: string): Promise<Uint8Array | undefined>
  /** The URL was that of a Dockerfile. */
  readonly dockerfile: Uint8Array | undefined
}

export interface RemoteParts {
  readonly store: Store
  readonly forms: LayerReader
  readonly signal: AbortSignal
  /** The merged file system of an edge, solved. */
  readonly solve: (edge: Edge) => Promise<View>
}

/** @throws OCI_OPTION_INVALID for a query that means nothing, or two things */
function readGitReference(url: string): GitReference | undefined {
  try {
    return parseGitReference(url, { allowBare: true })
  } catch (error) {
    if (!isComplaint(error)) throw error
    throw new BuilderError(
      'OCI_OPTION_INVALID',
      `invalid build context ${JSON.stringify(scrubCredentials(url))}: ${error.message}`,
      { hint: 'a repository is named as URL#REF:DIRECTORY, or with ?ref=…, branch, tag, subdir, checksum' },
    )
  }
}

/** Opens contexts from standard input, git and http (BuildKit: frontend/dockerui). Ignore files do not count in them. */
export function createRemoteContexts(parts: RemoteParts): RemoteContexts {
  const temporary: TemporaryDirectory[] = []

  async function openStream(stdin: AsyncIterable<Uint8Array>): Promise<StreamContext> {
    const directory = await parts.store.createTemporaryDirectory('context')
    temporary.push(directory)
    return openStreamContext({ stream: stdin, temporaryDirectory: directory.path, signal: parts.signal })
  }

  async function openUrl(url: string, options: { readonly keepGitDirectory: boolean }): Promise<UrlContext> {
    const git = readGitReference(url)
    if (git === undefined) return openFile(url)
    const spec = gitSource(git, {
      keepGitDir: options.keepGitDirectory || git.keepGitDir === true,
      checksum: git.checksum,
      mtime: git.mtime,
    })
    return present(edgeOf(spec, [], { name: `[internal] load git source ${scrubCredentials(url)}` }))
  }

  async function openFile(url: string): Promise<UrlContext> {
    if (!/^https?:\/\//.test(url))
      throw new BuilderError('OCI_OPTION_INVALID', `invalid build context ${JSON.stringify(scrubCredentials(url))}`, {
        hint: 'a directory, a git repository, or the URL of an archive or a Dockerfile',
      })
    const source = edgeOf(httpSource(url, 'context'), [], { name: '[internal] load remote build context' })
    const view = await parts.solve(source).catch((error: unknown) => {
      throw unreadable(error)
    })
    const entry = view.lookup('context')
    if (entry === undefined) throw new Error('an http source holds no file')
    if (!isArchive(await firstBytes(entry)))
      return { ...(await present(source)), dockerfile: await parts.forms.readFile(entry, MAX_BUILD_FILE_BYTES) }
    const unpack: OpSpec = { kind: 'file', actions: [{ input: -1, secondaryInput: 0, output: 0, action: UNPACK }] }
    return present(edgeOf(unpack, [source], { name: '[internal] unpack remote build context' }))
  }

  async function present(edge: Edge): Promise<UrlContext> {
    const view = await parts.solve(edge)
    return { edge, dockerfile: undefined, readFile: (path) => readFile(view, path) }
  }

  async function firstBytes(entry: ViewEntry): Promise<Buffer> {
    const [resolved] = await parts.forms.resolveContents([entry])
    for (const chunk of contentChunks(resolved!)) return Buffer.from(chunk.subarray(0, BLOCK_BYTES))
    return Buffer.alloc(0)
  }

  async function readFile(view: View, path: string): Promise<Uint8Array | undefined> {
    const entry = lookUpFile(view, path)
    return entry && parts.forms.readFile(entry, MAX_BUILD_FILE_BYTES)
  }

  return {
    openStream,
    openUrl,
    [Symbol.asyncDispose]: async () => {
      for (const directory of temporary) await directory[Symbol.asyncDispose]()
    },
  }
}

function unreadable(error: unknown): unknown {
  if (!isTsOciError(error) || error.code !== 'OCI_SOURCE_FAILED') return error
  const { hint, cause, details } = error
  return new BuilderError('OCI_SOURCE_FAILED', `failed to read downloaded context: ${error.message}`, {
    hint,
    cause,
    details,
  })
}

const UNPACK: FileActionCopy = {
  kind: 'copy',
  src: '/context',
  dest: '/',
  mode: -1,
  modeStr: '',
  followSymlink: false,
  dirCopyContents: false,
  attemptUnpackDockerCompatibility: true,
  createDestPath: false,
  allowWildcard: false,
  allowEmptyWildcard: false,
  timestamp: -1,
  includePatterns: [],
  excludePatterns: [],
  alwaysReplaceExistingDestPaths: false,
}

function edgeOf(op: OpSpec, inputs: readonly Edge[], metadata: VertexMetadata): Edge {
  return { vertex: createVertex(op, inputs, { metadata }), output: 0 }
}

function isArchive(start: Buffer): boolean {
  if (detectCompression(start) !== 'none') return true
  try {
    return start.length === BLOCK_BYTES && readHeader(start, 0) !== undefined
  } catch {
    return false
  }
}

/** Bytes of a file of a view whose content is at hand. @throws OCI_CONTEXT_INVALID when it is too large for a Dockerfile */
export function readViewFile(view: View, path: string): Uint8Array | undefined {
  const entry = lookUpFile(view, path)
  if (entry === undefined) return undefined
  if (entry.size > MAX_BUILD_FILE_BYTES) throw tooLarge(path)
  return Buffer.concat([...contentChunks(entry)].map((chunk) => Buffer.from(chunk)))
}

/** Links are followed inside the context. */
function lookUpFile(view: View, path: string): ViewEntry | undefined {
  const entry = view.lookup(view.resolve(toByteString(path), { followLast: true }))
  return entry?.type === 'file' ? entry : undefined
}
