import type { ByteString } from '../base/byte-string.ts'

const SLASH = 47

/** Directory part of a path, '' for a name in the root (and for the root itself). */
export function parentPath(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}

/** Last component of a path, '' for the root. */
export function baseName(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1)
}

export function joinPath(directory: ByteString, name: ByteString): ByteString {
  if (directory === '') return name
  return name === '' ? directory : `${directory}/${name}`
}

/** True for a directory itself and everything below it. */
export function isWithin(directory: ByteString, path: ByteString): boolean {
  if (directory === '' || path === directory) return true
  return path.length > directory.length && path.charCodeAt(directory.length) === SLASH && path.startsWith(directory)
}

/**
 * Order of a layer: depth-first, a directory before its content, names of one directory by their bytes. So a slash is
 * smaller than every other byte: `a/x` comes before `a-b`.
 */
export function comparePaths(a: ByteString, b: ByteString): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return (x === SLASH ? -1 : x) - (y === SLASH ? -1 : y)
  }
  return a.length - b.length
}

/**
 * The path without leading slash, empty components, `.` and `..` (which stops at the root): how a chroot reads a name
 * that has no symlinks in it.
 */
export function cleanPath(path: ByteString): ByteString {
  if (isClean(path)) return path
  const kept: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') kept.pop()
    else if (part !== '' && part !== '.') kept.push(part)
  }
  return kept.join('/')
}

/** True when no component is empty, `.` or `..`: nearly all names, found out without splitting. */
function isClean(path: ByteString): boolean {
  let start = 0
  for (let i = 0; i <= path.length; i++) {
    if (i < path.length && path.charCodeAt(i) !== SLASH) continue
    const length = i - start
    if (length === 0 && path !== '') return false
    if (length <= 2 && path.charCodeAt(start) === 46 && (length === 1 || path.charCodeAt(start + 1) === 46))
      return false
    start = i + 1
  }
  return true
}
