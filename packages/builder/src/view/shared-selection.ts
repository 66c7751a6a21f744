/** What a selector with a wildcard or patterns leaves of a view, record by record, in the order and by the rules of BuildKit. */
import { fromByteString, toByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { createIgnoreMatcher, type DirectoryMatches, type IgnoreMatcher } from '../patterns/ignore.ts'
import { compileMatch } from './go-match.ts'
import { cleanPath, joinPath, baseName } from './paths.ts'
import type { ContentSelector, View, ViewEntry } from './types.ts'
import { hasWildcard } from './wildcard.ts'

/** One entry of a list whose digest is asked for. A directory counts by its header alone: what lies in it has records of its own. */
export interface IncludedRecord {
  /** As the selector spells it: behind a link in its first part the link's name stands. No leading slash. */
  readonly path: ByteString
  readonly entry: ViewEntry
  readonly isHeader: boolean
  /** Nothing that contains it is chosen: a link counts by what it leads to. */
  readonly isFollowed: boolean
}

export interface IncludedRecords {
  /** The part of the selector before its first wildcard: not hashed. */
  readonly prefix: ByteString
  readonly records: readonly IncludedRecord[]
}

/** A directory on the way: its header counts as soon as something below it does. */
interface Parent {
  readonly record: IncludedRecord
  readonly include: DirectoryMatches | undefined
  readonly exclude: DirectoryMatches | undefined
  isIncluded: boolean
}

/** @throws OCI_COPY_INVALID, OCI_IGNORE_PATTERN, OCI_COPY_SOURCE_NOT_FOUND for a required path */
export function includedRecords(view: View, selector: ContentSelector): IncludedRecords {
  const path = cleanPath(toByteString(selector.path))
  const isWildcard = selector.allowWildcard && hasWildcard(path)
  const prefix = isWildcard ? literalPrefix(path) : path
  const base = view.resolve(prefix, { followLast: isWildcard })
  const walk = createWalk(view, selector, { path, prefix, base, isWildcard })
  const entry = view.entry(base)
  if (entry !== undefined) walk.visit(entry, prefix, [], undefined)
  return { prefix, records: walk.records }
}

/** The components before the first one with a wildcard. */
function literalPrefix(path: ByteString): ByteString {
  const parts = path.split('/')
  return parts.slice(0, parts.findIndex(hasWildcard)).join('/')
}

interface Walk {
  readonly records: readonly IncludedRecord[]
  /** @param matched the path that the wildcard matched, above or at this entry */
  visit(entry: ViewEntry, path: ByteString, parents: readonly Parent[], matched: ByteString | undefined): void
}

function createWalk(
  view: View,
  selector: ContentSelector,
  place: {
    readonly path: ByteString
    readonly prefix: ByteString
    readonly base: ByteString
    readonly isWildcard: boolean
  },
): Walk {
  const include = matcherOf(selector.includePatterns)
  const exclude = matcherOf(selector.excludePatterns)
  const pattern = place.path.split('/')
  const matchers = place.isWildcard ? pattern.map(componentMatcher) : []
  const records: IncludedRecord[] = []

  const matchesPattern = (path: ByteString): boolean => {
    const parts = path.split('/')
    // A star takes no name for one; the root has none.
    return path !== '' && parts.length === matchers.length && parts.every((part, index) => matchers[index]!(part))
  }
  function judge(
    path: ByteString,
    top: ByteString,
    parent: Parent | undefined,
  ): { readonly isIncluded: boolean } & Pick<Parent, 'include' | 'exclude'> {
    const text = fromByteString(relativeTo(top, path))
    const included = include?.matchesWithParent(text, parent?.include)
    if (included !== undefined && !included.excluded)
      return { isIncluded: false, include: included.matches, exclude: undefined }
    const excluded = exclude?.matchesWithParent(text, parent?.exclude)
    return { isIncluded: excluded?.excluded !== true, include: included?.matches, exclude: excluded?.matches }
  }
  function take(record: IncludedRecord, parents: readonly Parent[]): void {
    for (const parent of parents) {
      if (!parent.isIncluded) records.push(parent.record)
      parent.isIncluded = true
    }
    records.push(record)
  }

  function visit(
    entry: ViewEntry,
    path: ByteString,
    parents: readonly Parent[],
    matched: ByteString | undefined,
  ): void {
    const top = place.isWildcard ? (matched ?? (matchesPattern(path) ? path : undefined)) : place.path
    const isDirectory = entry.type === 'directory'
    if (top === undefined) {
      // Deeper than the pattern nothing can match any more.
      const depth = path === '' ? 0 : path.split('/').length
      if (isDirectory && depth < pattern.length) visitChildren(entry, path, parents, undefined)
      return
    }
    const parent = parents.at(-1)
    const record: IncludedRecord = {
      path,
      entry,
      isHeader: isDirectory,
      isFollowed: parent === undefined && selector.followLast,
    }
    // A source that ends in a slash has no header: only the root's still does when it gets here.
    const isHeaderless = isDirectory && path === place.path && path === ''
    const verdict = isHeaderless ? undefined : judge(path, top, parent)
    if (!isDirectory) {
      if (verdict!.isIncluded) take(record, parents)
      return
    }
    if (verdict === undefined) return visitChildren(entry, path, parents, top)
    const own: Parent = { record, include: verdict.include, exclude: verdict.exclude, isIncluded: verdict.isIncluded }
    if (verdict.isIncluded) take(record, parents)
    visitChildren(entry, path, [...parents, own], top)
  }
  function visitChildren(
    directory: ViewEntry,
    path: ByteString,
    parents: readonly Parent[],
    matched: ByteString | undefined,
  ): void {
    for (const child of view.children(directory.path))
      visit(child, joinPath(path, baseName(child.path)), parents, matched)
  }
  return { records, visit }
}

function relativeTo(top: ByteString, path: ByteString): ByteString {
  if (path === top) return top === '' ? path : ''
  return top === '' ? path : path.slice(top.length + 1)
}

function matcherOf(patterns: readonly string[]): IgnoreMatcher | undefined {
  return patterns.length === 0 ? undefined : createIgnoreMatcher(patterns)
}

function componentMatcher(part: ByteString): (name: ByteString) => boolean {
  const matcher = compileMatch(part)
  if (matcher !== undefined) return matcher
  throw new BuilderError('OCI_COPY_INVALID', `syntax error in pattern: "${fromByteString(part)}"`, {
    hint: 'write \\[ for a bracket that is part of a name',
  })
}
