/** A file system that is attached nowhere in this process's mount namespace, by the path that it has for the executor. */
export interface PrivateMount {
  readonly at: string
  /** A descriptor of its root. */
  readonly fd: number
}

const mounts: PrivateMount[] = []

/** From now on paths at and below `mount.at` lead into it, wherever this thread opens one with this folder or {@link localPath}. */
export function addPrivateMount(mount: PrivateMount): void {
  mounts.push(mount)
}

export function removePrivateMount(mount: PrivateMount): void {
  const index = mounts.indexOf(mount)
  if (index >= 0) mounts.splice(index, 1)
}

/** For a thread that is to see the same: descriptors are those of the process. */
export function privateMounts(): readonly PrivateMount[] {
  return [...mounts]
}

/** The path by which this process reaches what the executor sees at `path`; used at once, not kept. */
export function localPath(path: string): string {
  for (const { at, fd } of mounts)
    if (path.startsWith(at) && (path.length === at.length || path[at.length] === '/'))
      return `/proc/self/fd/${fd}${path.slice(at.length)}`
  return path
}
