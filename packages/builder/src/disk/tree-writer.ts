import {
  chmodAt,
  chownAt,
  closeFd,
  createDirectoryCache,
  errnoOf,
  linkAt,
  mkdirAtIfMissing,
  mknodAt,
  openAt,
  OpenFlags,
  openRoot,
  removeTree,
  setXattr,
  statAtIfPresent,
  symlinkAt,
  utimensAt,
} from '@ts-oci/runtime'
import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { createPathIndex } from '../view/path-index.ts'
import { baseName, parentPath } from '../view/paths.ts'
import type { LayerEntry } from '../view/types.ts'

export interface TreeWriterOptions {
  /** Which attribute marks opaque directories: what the overlay mounts of this machine read. */
  readonly xattrs: 'trusted' | 'user'
  /** `drop`: with a single id all files are ours, whoever the entry names. */
  readonly owners: 'keep' | 'drop'
}

/**
 * Writes a layer as a tree in overlay form, entry by entry, in the order of a tar. Paths are clean and their parents
 * real directories: a symlink on the way is refused (openat2, RESOLVE_NO_SYMLINKS), so nothing leads out of the tree.
 */
export interface TreeWriter extends Disposable {
  /** Begins a regular file; its bytes go to the descriptor, which `finishFile` closes. */
  beginFile(entry: LayerEntry): number
  finishFile(entry: LayerEntry, fd: number): void
  /** Anything but a regular file. */
  place(entry: LayerEntry): void
  /** Gives the file behind a hard link that was placed the attributes of the link's own header. */
  setLinked(entry: LayerEntry): void
  /** Directories' attributes and whiteouts, when all else is there. */
  finish(): void
  close(): void
}

/** `implied`: no entry lists it. `gone`: something else has taken its name; see `createTableBuilder` why it stays. */
type KnownDirectory = LayerEntry | 'implied' | 'gone'

const DIRECTORY_BITS = 0o700

export function createTreeWriter(destination: string, options: TreeWriterOptions): TreeWriter {
  const root = openRoot(destination)
  const cache = createDirectoryCache(root, 'beneath')
  const directories = new Map<ByteString, KnownDirectory>()
  const index = createPathIndex()
  const whiteouts = new Set<ByteString>()
  const opaques = new Set<ByteString>()

  /** The parent's descriptor; directories on the way that nobody listed are made. */
  function parentOf(path: ByteString): { readonly fd: number; readonly name: ByteString } {
    const directory = parentPath(path)
    if (directory !== '' && !isKnown(directory)) {
      const above = parentOf(directory)
      if (!tryMakeDirectory(above.fd, above.name)) throw invalid(path, 'lies below a file of the same layer')
      know(directory, 'implied')
    }
    return cache.parent(path)
  }

  function isKnown(path: ByteString): boolean {
    return (directories.get(path) ?? 'gone') !== 'gone'
  }

  function know(directory: ByteString, entry: KnownDirectory): void {
    directories.set(directory, entry)
    index.add(directory)
  }

  function tryMakeDirectory(fd: number, name: ByteString): boolean {
    try {
      mkdirAtIfMissing(fd, name, DIRECTORY_BITS)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      throw error
    }
  }

  /** Makes a name; what an earlier entry of the same name left goes first. */
  function create<T>(path: ByteString, make: (fd: number, name: ByteString) => T): T {
    const { fd, name } = parentOf(path)
    try {
      return make(fd, name)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
    forget(path)
    const again = parentOf(path)
    removeTree(again.fd, again.name)
    return make(again.fd, again.name)
  }

  function forget(path: ByteString): void {
    cache.forget(path)
    // A directory is known before what lies in it: below a file there is nothing to forget.
    if (!isKnown(path)) return
    for (const known of index.takeBelow(path)) directories.set(known, 'gone')
    directories.set(path, 'gone')
  }

  function beginFile(entry: LayerEntry): number {
    const flags = OpenFlags.write | OpenFlags.create | OpenFlags.exclusive
    return create(entry.path, (fd, name) => openAt(fd, name, flags, 0o600))
  }

  function finishFile(entry: LayerEntry, file: number): void {
    closeFd(file)
    const { fd, name } = cache.parent(entry.path)
    setAttributes(fd, name, entry)
  }

  function place(entry: LayerEntry): void {
    switch (entry.type) {
      case 'file':
        return finishFile(entry, beginFile(entry))
      case 'directory':
        return placeDirectory(entry)
      case 'whiteout':
        return void whiteouts.add(entry.path)
      case 'opaque':
        return void opaques.add(entry.path)
      case 'hardlink':
        return placeLink(entry)
      case 'symlink':
        create(entry.path, (fd, name) => symlinkAt(entry.link ?? '', fd, name))
        break
      default:
        if (!placeNode(entry)) return
    }
    const { fd, name } = cache.parent(entry.path)
    setAttributes(fd, name, entry)
  }

  function placeDirectory(entry: LayerEntry): void {
    if (entry.path === '') return
    const { fd, name } = parentOf(entry.path)
    if (!tryMakeDirectory(fd, name)) {
      forget(entry.path)
      removeTree(fd, name)
      mkdirAtIfMissing(fd, name, DIRECTORY_BITS)
    }
    know(entry.path, entry)
  }

  function placeLink(entry: LayerEntry): void {
    const target = entry.link ?? ''
    try {
      create(entry.path, (fd, name) => {
        const old = cache.parent(target)
        linkAt(old.fd, old.name, fd, name)
      })
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR' && errnoOf(error) !== 'EPERM') throw error
      throw invalid(entry.path, `is a hard link to "${fromByteString(target)}", which is no file of the layer`)
    }
  }

  function setLinked(entry: LayerEntry): void {
    const { fd, name } = cache.parent(entry.path)
    const isSymlink = statAtIfPresent(fd, name)?.type === 'symlink'
    if (!isSymlink) setAttributes(fd, name, entry)
    else if (options.owners === 'keep') chownAt(fd, name, entry.uid, entry.gid)
  }

  /** Answers false for a node that may not be made here: it stays in the table. */
  function placeNode(entry: LayerEntry): boolean {
    const major = entry.devMajor ?? 0
    const minor = entry.devMinor ?? 0
    // On the disk this would be a whiteout.
    if (entry.type === 'character' && major === 0 && minor === 0) return false
    const type = entry.type as 'character' | 'block' | 'fifo'
    try {
      create(entry.path, (fd, name) => mknodAt(fd, name, type, 0o600, major, minor))
      return true
    } catch (error) {
      if (errnoOf(error) === 'EPERM' && type !== 'fifo') return false
      throw error
    }
  }

  function setAttributes(fd: number, name: ByteString, entry: LayerEntry): void {
    // What we make is ours already: root's, in its namespace.
    const isOurs = entry.uid === 0 && entry.gid === 0
    if (options.owners === 'keep' && !isOurs) chownAt(fd, name, entry.uid, entry.gid)
    // After the owner, whose change clears set-id bits and capabilities.
    if (entry.type !== 'symlink') chmodAt(fd, name, entry.mode)
    if (entry.xattrs !== undefined) for (const [key, value] of entry.xattrs) trySetXattr(fd, name, key, value)
    const time = { sec: entry.mtimeSec, nsec: entry.mtimeNsec }
    utimensAt(fd, name, time, time)
  }

  /** Attributes that steer an overlay never come from a layer; what this machine refuses stays in the table. */
  function trySetXattr(fd: number, name: ByteString, key: string, value: Uint8Array): void {
    if (key.startsWith('trusted.overlay.') || key.startsWith('user.overlay.')) return
    try {
      setXattr(fd, name, key, value)
    } catch (error) {
      const errno = errnoOf(error)
      if (
        errno !== 'EPERM' &&
        errno !== 'ENOTSUP' &&
        errno !== 'EOPNOTSUPP' &&
        errno !== 'EINVAL' &&
        errno !== 'EACCES'
      )
        throw error
    }
  }

  function finish(): void {
    for (const path of whiteouts) placeWhiteout(path)
    for (const path of opaques) if (path !== '') markOpaque(path)
    // Children first: a directory's mode may forbid what is below it, and its time changes with its content.
    for (const path of [...directories.keys()].filter(isKnown).sort().toReversed()) finishDirectory(path)
  }

  function placeWhiteout(path: ByteString): void {
    // Something else has taken the place of its directory since, and hides what was below by itself.
    if (isBelowOther(path)) return
    const { fd, name } = parentOf(path)
    const standing = statAtIfPresent(fd, name)
    // The layer deletes a name and makes it anew: a directory then hides what was in the old one.
    if (standing === undefined) mknodAt(fd, name, 'character', 0, 0, 0)
    else if (standing.type === 'directory') opaques.add(path)
  }

  function isBelowOther(path: ByteString): boolean {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const directory = path.slice(0, slash)
      if (isKnown(directory)) continue
      const { fd, name } = cache.parent(directory)
      const standing = statAtIfPresent(fd, name)
      if (standing?.type !== 'directory') return standing !== undefined
    }
    return false
  }

  function markOpaque(path: ByteString): void {
    const { fd, name } = parentOf(path)
    if (!tryMakeDirectory(fd, name)) return
    if (!isKnown(path)) know(path, 'implied')
    setXattr(fd, name, `${options.xattrs}.overlay.opaque`, Buffer.from('y'))
  }

  function finishDirectory(path: ByteString): void {
    const entry = directories.get(path)!
    const { fd, name } = cache.parent(path)
    if (typeof entry === 'string') chmodAt(fd, name, 0o755)
    else setAttributes(fd, name, entry)
  }

  function close(): void {
    cache.close()
    closeFd(root)
  }

  return { beginFile, finishFile, place, setLinked, finish, close, [Symbol.dispose]: close }
}

/** The name of the file below its directory; for messages. */
function invalid(path: ByteString, why: string): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', `the layer's entry "${fromByteString(path)}" ${why}`, {
    details: { path, name: baseName(path) },
  })
}
