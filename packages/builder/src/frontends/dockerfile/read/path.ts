/** Paths of the image's side: always POSIX, cleaned in exactly the places in which BuildKit cleans them. */
import { posix } from 'node:path'
import { Complaint } from '../expand/complaint.ts'
import { encodeText } from '../../../base/text.ts'

/** The shortest path that means the same: no empty, `.` or resolvable `..` element, no trailing slash; `.` for nothing. */
export function cleanPath(path: string): string {
  const normal = posix.normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

const MAX_NAME_BYTES = 255
const MAX_PATH_BYTES = 4095

/**
 * A file whose name Linux does not take could be written into a layer, but no container would start from it.
 * @throws Complaint in the words in which BuildKit fails
 */
export function checkPathLength(path: string): void {
  const isTooLong =
    encodeText(path).length > MAX_PATH_BYTES ||
    path.split('/').some((name) => name.length * 3 > MAX_NAME_BYTES && encodeText(name).length > MAX_NAME_BYTES)
  if (!isTooLong) return
  const shown = path.length > MAX_NAME_BYTES ? `${path.slice(0, MAX_NAME_BYTES)}…` : path
  throw new Complaint(`lstat ${shown}: file name too long`)
}

/** Joins what is not empty and cleans the result. */
export function joinPath(...parts: string[]): string {
  const present = parts.filter((part) => part !== '')
  return present.length === 0 ? '' : cleanPath(present.join('/'))
}

/** The last element; `.` for an empty path, `/` for slashes alone. */
export function baseName(path: string): string {
  if (path === '') return '.'
  const trimmed = path.replace(/\/+$/, '')
  return trimmed === '' ? '/' : trimmed.slice(trimmed.lastIndexOf('/') + 1)
}

/** Makes a path absolute, seen from `parent`. An absolute path stays as it is written. */
export function absolutePath(parent: string, path: string, keepSlash: boolean): string {
  const base = parent === '' ? '/' : posix.isAbsolute(parent) ? parent : joinPath('/', parent)
  const wanted = path === '' ? base : path
  const result = posix.isAbsolute(wanted) ? wanted : joinPath(base, wanted)
  return keepSlash ? withWrittenEnd(result, path) : result
}

/** As {@link absolutePath}, but always cleaned: the form that paths have in file actions. */
export function actionPath(parent: string, path: string, keepSlash: boolean): string {
  const clean = cleanPath(path)
  const result = posix.isAbsolute(clean) ? clean : joinPath('/', parent, clean)
  return keepSlash ? withWrittenEnd(result, path) : result
}

// A copy looks at the end of its destination: `/dir/` and `/dir/.` mean a directory.
function withWrittenEnd(path: string, written: string): string {
  if (written.endsWith('/')) return path.endsWith('/') ? path : `${path}/`
  if (written.endsWith('/.')) return path === '/' ? '/.' : `${path}/.`
  return path
}

/** The destination of COPY and ADD, seen from the working directory. */
export function destinationPath(directory: string, path: string): string {
  if (posix.isAbsolute(path)) return absolutePath('/', path, true)
  return absolutePath(directory, path === '.' || path === '' ? './' : path, true)
}
