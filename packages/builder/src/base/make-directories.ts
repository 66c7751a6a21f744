import { chmodSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a directory and those above it, as `mkdir -p`. Step by step, because Node's own `recursive` never returns where
 * a file system answers ENOENT to every mkdir, as procfs does (seen with Node 24).
 * `parentMode`: of those above, where they are made; both are subject to the umask, of which what it takes from the owner
 * does not count: nobody could be at work in such a directory.
 * @throws the error of the call that failed; ENOTDIR where something else has the name
 */
export function makeDirectories(path: string, mode = 0o777, parentMode: number = mode): void {
  if (tryMake(path, mode)) return
  makeDirectories(dirname(path), parentMode)
  if (!tryMake(path, mode)) mkdirSync(path, mode)
}

/** @returns false when the directory above may be missing */
function tryMake(path: string, mode: number): boolean {
  try {
    mkdirSync(path, mode)
    openToOwner(path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && dirname(path) !== path) return false
    // Read-only file systems answer EROFS also for a directory that is there.
    const existing = statSync(path, { throwIfNoEntry: false })
    if (existing?.isDirectory() === true) return true
    if (code !== 'EEXIST') throw error
    throw Object.assign(new Error(`ENOTDIR: not a directory, mkdir '${path}'`, { cause: error }), { code: 'ENOTDIR' })
  }
}

function openToOwner(path: string): void {
  const mode = statSync(path).mode & 0o7777
  if ((mode & 0o700) !== 0o700) chmodSync(path, mode | 0o700)
}
