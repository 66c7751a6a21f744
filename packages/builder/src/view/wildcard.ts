import type { ByteString } from '../base/byte-string.ts'
import { fromByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { compileMatch } from './go-match.ts'
import { joinPath } from './paths.ts'
import type { View } from './types.ts'

/** True when a path holds `*`, `?` or `[` that no backslash takes away (BuildKit: fsutil's containsWildcards). */
export function hasWildcard(path: ByteString): boolean {
  for (let i = 0; i < path.length; i++) {
    const char = path[i]
    if (char === '\\') i++
    else if (char === '*' || char === '?' || char === '[') return true
  }
  return false
}

/**
 * The paths of a view that a source with wildcards names, in the view's order. Components before the first wildcard
 * follow symlinks inside the root; from there on names are matched one component by one (Go's filepath.Match) and
 * nothing is followed. Throws OCI_COPY_INVALID for a pattern that is none.
 */
export function expandWildcard(view: View, pattern: ByteString): readonly ByteString[] {
  const parts = pattern.split('/').filter((part) => part !== '' && part !== '.')
  const first = parts.findIndex((part) => hasWildcard(part))
  if (first < 0) return [parts.join('/')]
  const matchers = parts.slice(first).map((part) => {
    const matcher = compileMatch(part)
    if (matcher === undefined) throw badPattern(pattern)
    return matcher
  })
  const found: ByteString[] = []
  collect(view, view.resolve(parts.slice(0, first).join('/'), { followLast: true }), matchers, found)
  return found
}

type Matcher = (name: ByteString) => boolean

function collect(view: View, directory: ByteString, matchers: readonly Matcher[], found: ByteString[]): void {
  const [matcher, ...rest] = matchers
  for (const child of view.children(directory)) {
    const name = directory === '' ? child.path : child.path.slice(directory.length + 1)
    if (!matcher!(name)) continue
    if (rest.length === 0) found.push(joinPath(directory, name))
    else if (child.type === 'directory') collect(view, joinPath(directory, name), rest, found)
  }
}

function badPattern(pattern: ByteString): BuilderError {
  return new BuilderError('OCI_COPY_INVALID', `syntax error in pattern: "${fromByteString(pattern)}"`, {
    hint: 'write \\[ for a bracket that is part of a name',
  })
}
