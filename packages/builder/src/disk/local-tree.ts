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
  resizeFile,
  setXattr,
  symlinkAt,
  utimensAt,
  writeFully,
  type TreeAttributes,
  type TreeRecords,
} from '@ts-oci/runtime'
import type { ByteString } from '../base/byte-string.ts'

/** A tree that this process writes itself, at once. */
export interface LocalTree extends TreeRecords {
  /** The descriptor of the file that was begun. */
  fileFd(): number
  close(): void
}

/**
 * Into an empty directory. Parents are real directories: a symlink on the way is refused (openat2, RESOLVE_NO_SYMLINKS), so
 * nothing leads out of the tree.
 */
export function createLocalTree(destination: string): LocalTree {
  const root = openRoot(destination)
  const cache = createDirectoryCache(root, 'beneath')
  let file: { readonly fd: number; readonly path: ByteString; readonly attributes: TreeAttributes } | undefined
  /** Where the next data go. */
  let offset = 0

  function fileFd(): number {
    if (file === undefined) throw new Error('no file was begun')
    return file.fd
  }

  function closeFile(): void {
    if (file !== undefined) closeFd(file.fd)
    file = undefined
  }

  function setAttributes(path: ByteString, { owner, mode, mtime, xattrs, strict }: TreeAttributes): void {
    const { fd, name } = cache.parent(path)
    if (owner !== undefined) chownAt(fd, name, owner.uid, owner.gid)
    // After the owner, whose change clears set-id bits and capabilities.
    if (mode !== undefined) chmodAt(fd, name, mode)
    for (const [key, value] of xattrs ?? []) {
      try {
        setXattr(fd, name, key, value)
      } catch (error) {
        if (strict === true || !isRefusal(error)) throw error
      }
    }
    if (mtime !== undefined) utimensAt(fd, name, mtime, mtime)
  }

  return {
    fileFd,
    makeDirectory(path) {
      const { fd, name } = cache.parent(path)
      mkdirAtIfMissing(fd, name, 0o700)
    },
    beginFile(path, attributes) {
      const { fd, name } = cache.parent(path)
      const flags = OpenFlags.write | OpenFlags.create | OpenFlags.exclusive
      file = { fd: openAt(fd, name, flags, 0o600), path, attributes }
      offset = 0
    },
    writeData(bytes) {
      writeFully(fileFd(), bytes, offset)
      offset += bytes.length
    },
    leaveHole(sizeBytes) {
      offset += sizeBytes
      resizeFile(fileFd(), offset)
    },
    endFile() {
      const { path, attributes } = file!
      closeFile()
      setAttributes(path, attributes)
    },
    makeSymlink(path, target) {
      const { fd, name } = cache.parent(path)
      symlinkAt(target, fd, name)
    },
    makeLink(path, old) {
      const from = cache.parent(old)
      const { fd, name } = cache.parent(path)
      linkAt(from.fd, from.name, fd, name)
    },
    makeNode(path, { type, major, minor }, attributes) {
      const { fd, name } = cache.parent(path)
      try {
        mknodAt(fd, name, type, attributes.mode === undefined ? 0 : 0o600, major, minor)
      } catch (error) {
        if (errnoOf(error) === 'EPERM' && type !== 'fifo' && attributes.strict !== true) return
        throw error
      }
      setAttributes(path, attributes)
    },
    remove(path) {
      cache.forget(path)
      const { fd, name } = cache.parent(path)
      removeTree(fd, name)
    },
    setAttributes,
    close() {
      closeFile()
      cache.close()
      closeFd(root)
    },
  }
}

/** What a machine may refuse of an extended attribute: then it stays in the table. */
function isRefusal(error: unknown): boolean {
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'EACCES'].includes(errnoOf(error) ?? '')
}
