import {
  closeFd,
  errnoOf,
  openResolved,
  OpenFlags,
  readDirectoryWithStats,
  statFd,
  type PackedEntries,
} from '@ts-oci/runtime'
import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { boundYoungGeneration } from '../base/young-generation.ts'
import { makeEntry, toNanoseconds } from '../view/entry.ts'
import { joinPath } from '../view/paths.ts'
import type { TreeNode } from '../view/tree.ts'
import type { ViewEntry } from '../view/types.ts'
import type { FilterState, PathFilter } from '../patterns/filter.ts'

/** From here on the memory that they take counts. */
const MANY_ENTRIES = 2000

/** Where the status of a context's file was recorded: an index into what its directory gave. */
export interface FileFacts {
  readonly entries: PackedEntries
  readonly index: number
}

/** A build context as a tree whose directories are read when somebody first looks into them, and once. */
export interface ContextTree {
  readonly root: TreeNode
  /** Undefined for anything but a file with content. */
  facts(entry: ViewEntry): FileFacts | undefined
  /** Entries that were read from directories so far. */
  entryCount(): number
}

/** A directory by what the kernel knows it by: links and bind mounts have many paths for one. */
export interface DirectoryIdentity {
  readonly dev: number
  readonly ino: bigint
}

interface Source {
  readonly rootFd: number
  readonly directory: string
  readonly filter: PathFilter | undefined
  readonly leftOut: DirectoryIdentity | undefined
  readonly facts: Map<ViewEntry, FileFacts>
  entryCount: number
}

/**
 * Reads lazily what lies below `rootFd`; the caller keeps it open as long as the tree is used.
 * Owners and extended attributes are not part of a context (features 1.3: files come as 0:0).
 * @param leftOut a directory that is not there, wherever it lies
 */
export function createContextTree(
  rootFd: number,
  directory: string,
  filter: PathFilter | undefined,
  leftOut?: DirectoryIdentity,
): ContextTree {
  const source: Source = { rootFd, directory, filter, leftOut, facts: new Map(), entryCount: 0 }
  const status = statFd(rootFd)
  const entry = makeEntry({
    path: '',
    type: 'directory',
    mode: status.mode,
    mtimeSec: status.mtimeSec,
    mtimeNsec: status.mtimeNsec,
  })
  return {
    root: new LazyDirectory(source, entry, undefined),
    facts: (file) => source.facts.get(file),
    entryCount: () => source.entryCount,
  }
}

/** A class for the getter's sake: whoever walks a tree finds children, and does not see when they were read. */
class LazyDirectory implements TreeNode {
  readonly owner = undefined
  sorted: readonly TreeNode[] | undefined = undefined
  entry: ViewEntry
  private readonly source: Source
  private readonly state: FilterState | undefined
  private known: Map<ByteString, TreeNode> | undefined

  constructor(source: Source, entry: ViewEntry, state: FilterState | undefined) {
    this.source = source
    this.entry = entry
    this.state = state
  }

  get children(): Map<ByteString, TreeNode> {
    this.known ??= list(this.source, this.entry.path, this.state)
    return this.known
  }
}

function list(source: Source, path: ByteString, state: FilterState | undefined): Map<ByteString, TreeNode> {
  const entries = readEntries(source, path)
  source.entryCount += entries.length
  if (source.entryCount > MANY_ENTRIES) boundYoungGeneration()
  const children = new Map<ByteString, TreeNode>()
  for (let index = 0; index < entries.length; index++) {
    const name = entries.name(index)
    const child = makeChild(source, joinPath(path, name), entries, index, state)
    if (child !== undefined) children.set(name, child)
  }
  return children
}

function makeChild(
  source: Source,
  path: ByteString,
  entries: PackedEntries,
  index: number,
  state: FilterState | undefined,
): TreeNode | undefined {
  const isDirectory = entries.isDirectory(index)
  if (isDirectory && isSame(source.leftOut, entries, index)) return undefined
  const verdict = source.filter?.judge(path, isDirectory, state)
  if (verdict?.kind === 'skip') return undefined
  if (isDirectory) {
    const node = new LazyDirectory(source, entryOf(source, path, entries, index), verdict?.state)
    // Excluded itself, it is there only for what an exception keeps below it.
    return verdict?.kind === 'enter' && node.children.size === 0 ? undefined : node
  }
  const entry = entryOf(source, path, entries, index)
  if (entry.content !== undefined) source.facts.set(entry, { entries, index })
  return { entry, children: undefined, owner: undefined, sorted: undefined }
}

function isSame(directory: DirectoryIdentity | undefined, entries: PackedEntries, index: number): boolean {
  return directory?.ino === entries.ino(index) && directory.dev === entries.dev(index)
}

function entryOf(source: Source, path: ByteString, entries: PackedEntries, index: number): ViewEntry {
  const listed = entries.type(index)
  // A socket has no content that could be sent: BuildKit makes an empty file of it.
  const type = listed === 'socket' ? 'file' : listed
  const isFile = type === 'file'
  const size = listed === 'file' ? entries.size(index) : 0
  const mtimeSec = entries.mtimeSec(index)
  const mtimeNsec = entries.mtimeNsec(index)
  const isDevice = type === 'character' || type === 'block'
  const entry = makeEntry({
    path,
    type,
    mode: type === 'symlink' ? 0o777 : entries.mode(index),
    size,
    mtimeSec,
    mtimeNsec,
    link: entries.link(index),
    devMajor: isDevice ? entries.rdevMajor(index) : undefined,
    devMinor: isDevice ? entries.rdevMinor(index) : undefined,
    content:
      size > 0
        ? { kind: 'context', root: source.directory, path, mtimeNs: toNanoseconds(mtimeSec, mtimeNsec) }
        : undefined,
  })
  if (!isFile || entries.nlink(index) < 2) return entry
  return { ...entry, linkKey: `${entries.dev(index)}:${entries.ino(index)}` }
}

function readEntries(source: Source, path: ByteString): PackedEntries {
  try {
    const fd = openResolved(source.rootFd, path, OpenFlags.read | OpenFlags.directory, 'beneath')
    try {
      return readDirectoryWithStats(fd, { links: true })
    } finally {
      closeFd(fd)
    }
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

function unreadable(path: ByteString, cause: unknown): unknown {
  const errno = errnoOf(cause)
  const shown = path === '' ? '.' : fromByteString(path)
  if (errno === 'EACCES' || errno === 'EPERM') {
    return new BuilderError(
      'OCI_CONTEXT_INVALID',
      `the directory "${shown}" of the build context cannot be read: permission denied`,
      {
        hint: 'exclude it in .dockerignore, or give yourself the right to read it',
        cause,
        details: { path },
      },
    )
  }
  if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ELOOP' || errno === 'ESTALE') {
    return new BuilderError(
      'OCI_CONTEXT_CHANGED',
      `the directory "${shown}" of the build context vanished while it was read`,
      {
        hint: 'build again when nothing writes to the build context',
        cause,
        details: { path },
      },
    )
  }
  return cause
}
