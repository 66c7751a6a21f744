import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { createIgnoreMatcher, type DirectoryMatches, type IgnoreMatcher } from './ignore.ts'

/** What the filter found for a directory; handed to its entries. */
export interface FilterState {
  readonly include: DirectoryMatches | undefined
  readonly exclude: DirectoryMatches | undefined
}

export interface Verdict {
  /** `keep`: it is there; `enter`: a directory that is there only if something below it is; `skip`: nothing of it is. */
  readonly kind: 'keep' | 'enter' | 'skip'
  readonly state: FilterState | undefined
}

/** Decides, entry by entry on the way down, what of a tree is seen. Paths are relative to where the walk began. */
export interface PathFilter {
  judge(path: ByteString, isDirectory: boolean, parent: FilterState | undefined): Verdict
}

export interface FilterPatterns {
  /** None: everything is included. */
  readonly includePatterns?: readonly string[] | undefined
  readonly excludePatterns?: readonly string[] | undefined
}

const KEEP: Verdict = { kind: 'keep', state: undefined }
const SKIP: Verdict = { kind: 'skip', state: undefined }

/**
 * A filter with BuildKit's meaning of include and exclude patterns (both as in a `.dockerignore`): an entry is there
 * when it is included and not excluded; a directory is also there when anything below it is. Undefined when everything
 * is there. Throws OCI_IGNORE_PATTERN.
 */
export function createPathFilter(patterns: FilterPatterns): PathFilter | undefined {
  const include = matcherOf(patterns.includePatterns)
  const exclude = matcherOf(patterns.excludePatterns)
  if (include === undefined && exclude === undefined) return undefined
  const mayInclude = include === undefined ? () => true : canMatchBelow(include)

  function judge(path: ByteString, isDirectory: boolean, parent: FilterState | undefined): Verdict {
    // Patterns are text: a byte that is not UTF-8 is U+FFFD to them, as it is to Go's matcher.
    const text = fromByteString(path)
    let isHidden = false
    let includeMatches: DirectoryMatches | undefined
    let excludeMatches: DirectoryMatches | undefined
    if (include !== undefined) {
      const found = include.matchesWithParent(text, parent?.include)
      includeMatches = found.matches
      isHidden = !found.excluded
      if (isHidden && (!isDirectory || !mayInclude(text))) return SKIP
    }
    if (exclude !== undefined) {
      const found = exclude.matchesWithParent(text, parent?.exclude)
      excludeMatches = found.matches
      if (found.excluded && (!isDirectory || exclude.canPrune(text))) return SKIP
      isHidden ||= found.excluded
    }
    if (!isDirectory) return KEEP
    return { kind: isHidden ? 'enter' : 'keep', state: { include: includeMatches, exclude: excludeMatches } }
  }
  return { judge }
}

function matcherOf(patterns: readonly string[] | undefined): IgnoreMatcher | undefined {
  if (patterns === undefined) return undefined
  const matcher = createIgnoreMatcher(patterns)
  return matcher.patterns.length === 0 ? undefined : matcher
}

/** Whether a pattern that is no exception could match a path below a directory; in doubt true. */
function canMatchBelow(matcher: IgnoreMatcher): (directory: string) => boolean {
  const beginnings = matcher.patterns.flatMap(({ pattern, isException }) => {
    if (isException) return []
    const literal = /^[^*?[\\\]^]*/.exec(pattern)![0]
    return [{ literal, isWhole: literal.length === pattern.length }]
  })
  return (directory) => {
    const prefix = `${directory}/`
    return beginnings.some(
      ({ literal, isWhole }) => literal.startsWith(prefix) || (!isWhole && prefix.startsWith(literal)),
    )
  }
}
