import { fromByteString, toByteString, type ByteString } from '../../base/byte-string.ts'
import { BuilderError } from '../../base/errors.ts'
import { createIgnoreMatcher } from '../../patterns/ignore.ts'
import { cleanPath } from '../../view/paths.ts'
import type { View } from '../../view/types.ts'
import { expandWildcard, hasWildcard } from '../../view/wildcard.ts'

/**
 * A wildcard may match nothing, but the directory in which it looks has to be there. BuildKit sends only those
 * directories of a context in which some source of the build found something: `COPY target/*.jar .` fails where no jar
 * is in `target`, unless another source names what is. `followPaths` are all sources of the build.
 * Throws OCI_COPY_SOURCE_NOT_FOUND.
 */
export function requireSentDirectory(view: View, source: string, followPaths: readonly string[]): void {
  const path = cleanPath(toByteString(source))
  if (!hasWildcard(path)) return
  const parts = path.split('/')
  const fixed = parts.slice(0, parts.findIndex(hasWildcard)).join('/')
  if (fixed === '' || expandWildcard(view, path).length > 0) return
  if (followPaths.some((followed) => matchesOf(view, followed).some((match) => touches(match, fixed)))) return
  if (followPaths.some((followed) => isPatternBelow(view, followed, fixed))) return
  throw new BuilderError('OCI_COPY_SOURCE_NOT_FOUND', `lstat /${fromByteString(fixed)}: no such file or directory`, {
    hint: `nothing in the build context matches ${source}`,
    details: { path: source },
  })
}

function matchesOf(view: View, followed: string): readonly ByteString[] {
  const path = cleanPath(toByteString(followed))
  if (hasWildcard(path)) return expandWildcard(view, path)
  return view.lookup(path) === undefined ? [] : [path]
}

// What is sent is chosen by patterns in which `**` is any number of directories, wider than what COPY then matches.
function isPatternBelow(view: View, followed: string, directory: ByteString): boolean {
  if (!followed.includes('**')) return false
  const { matches } = createIgnoreMatcher([fromByteString(cleanPath(toByteString(followed)))])
  for (const { path } of view.walk(directory)) if (matches(fromByteString(path))) return true
  return false
}

function touches(match: ByteString, directory: ByteString): boolean {
  return match === '' || `${match}/`.startsWith(`${directory}/`) || directory.startsWith(`${match}/`)
}
