import { closeFd, openResolved, OpenFlags } from './open.ts'
import type { PathResolution } from './types.ts'

/** Descriptors of the directories that a walk in order needs again and again. */
export interface DirectoryCache extends Disposable {
  /** Descriptor of a directory below the root (`''` is the root itself); owned by the cache: never close it. */
  directory(path: string): number
  /** Parent's descriptor and last component of a path. */
  parent(path: string): { readonly fd: number; readonly name: string }
  /** Forgets a directory and everything below it: call it before one is removed, renamed or replaced. */
  forget(path: string): void
  close(): void
}

/**
 * Keeps the last directories open by path, so that working through a tar or a tree in order opens each about once.
 * The root's descriptor stays the caller's.
 */
export function createDirectoryCache(
  rootFd: number,
  resolution: PathResolution = 'beneath',
  capacity = 32,
): DirectoryCache {
  const open = new Map<string, number>()

  function directory(path: string): number {
    if (path === '') return rootFd
    // Used last, evicted last: two descriptors that one call needs (link, rename) never push each other out.
    const fd = take(path) ?? openResolved(rootFd, path, OpenFlags.read | OpenFlags.directory, resolution)
    if (open.size >= capacity) evictOldest()
    open.set(path, fd)
    return fd
  }

  function take(path: string): number | undefined {
    const fd = open.get(path)
    if (fd !== undefined) open.delete(path)
    return fd
  }

  function evictOldest(): void {
    for (const [path, fd] of open) {
      open.delete(path)
      closeFd(fd)
      return
    }
  }

  function forget(path: string): void {
    for (const [known, fd] of open) {
      if (path !== '' && known !== path && !known.startsWith(`${path}/`)) continue
      open.delete(known)
      closeFd(fd)
    }
  }

  return {
    directory,
    parent(path) {
      const slash = path.lastIndexOf('/')
      return { fd: directory(slash < 0 ? '' : path.slice(0, slash)), name: path.slice(slash + 1) }
    },
    forget,
    close: () => forget(''),
    [Symbol.dispose]: () => forget(''),
  }
}
