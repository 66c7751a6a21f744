import { createHash, type Hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { fromByteString, toByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import type { Digest } from '../oci/digest.ts'
import { findSuggestion } from '../base/suggest.ts'
import { lowerCase, quote } from '../base/text.ts'
import { isOfFile } from './entry.ts'
import type { ContentSelector, View, ViewEntry } from './types.ts'
import { baseName, cleanPath, joinPath } from './paths.ts'
import { selectEntries, type SelectedEntry } from './select.ts'
import { expandWildcard, hasWildcard } from './wildcard.ts'

/** The sha256 of each file's bytes, in the order of `files`; asked only for files whose entry does not say it. */
export type FileDigester = (files: readonly ViewEntry[]) => Promise<readonly Digest[]>

/**
 * The digest of what `selectors` choose from a view: for each entry its path below the chosen one, type, mode, owner,
 * size, link, device, those extended attributes that a layer keeps, and the digest of its bytes. Times are not content,
 * and neither is the name of what was chosen: a directory that moves keeps its digest (features 5, rules 4 and 5).
 * Throws OCI_COPY_SOURCE_NOT_FOUND, OCI_COPY_INVALID, OCI_IGNORE_PATTERN.
 */
export async function digestSelectors(
  view: View,
  selectors: readonly ContentSelector[],
  digestFiles: FileDigester,
): Promise<Digest> {
  // Of several that are missing BuildKit, which looks at all at once, mostly names the last.
  const chosen = selectors.toReversed().map((selector) => chosenBy(view, selector))
  const selections = chosen.reverse().flat()
  const unknown = new Set<ViewEntry>()
  for (const selection of selections)
    for (const { entry } of selection.entries) if (needsDigest(entry)) unknown.add(entry)
  const files = [...unknown]
  const digests = new Map<ViewEntry, Digest>()
  if (files.length > 0)
    for (const [index, digest] of (await digestFiles(files)).entries()) digests.set(files[index]!, digest)
  const hash = createHash('sha256')
  for (const selection of selections) hashSelection(hash, selection, digests)
  return `sha256:${hash.digest('hex')}` as Digest
}

/** At most so many files are told apart in an explanation; of more only the digest of all is kept. */
const MAX_DESCRIBED = 10_000

/**
 * A short mark for each entry that `selectors` choose, by its path in the view: what two of these do not share is what
 * changed. A mark is the entry's mode in octal digits, a colon, and a checksum of all else. Undefined when there are too
 * many. Throws as {@link digestSelectors}.
 */
export async function describeSelectors(
  view: View,
  selectors: readonly ContentSelector[],
  digestFiles: FileDigester,
): Promise<Readonly<Record<string, string>> | undefined> {
  const entries = selectors.flatMap((selector) => chosenBy(view, selector)).flatMap((selection) => selection.entries)
  if (entries.length > MAX_DESCRIBED) return undefined
  const files = [...new Set(entries.map(({ entry }) => entry))].filter(needsDigest)
  const digests = new Map<ViewEntry, Digest>()
  for (const [index, digest] of (await digestFiles(files)).entries()) digests.set(files[index]!, digest)
  const marks: Record<string, string> = {}
  for (const { entry } of entries) {
    const digest = entry.contentDigest ?? digests.get(entry)
    const record = recordOf({ ...entry, mode: 0 }, '', digest, new Map())
    const mark = `${entry.mode.toString(8)}:${crc32(Buffer.from(record, 'latin1')).toString(16)}`
    marks[fromByteString(entry.path)] = mark
  }
  return marks
}

interface Selection {
  /** Name of what a wildcard matched, since it decides the destination; empty for a literal path. */
  readonly name: ByteString
  readonly entries: readonly SelectedEntry[]
}

function chosenBy(view: View, selector: ContentSelector): readonly Selection[] {
  const path = cleanPath(toByteString(selector.path))
  if (!selector.allowWildcard || !hasWildcard(path)) {
    const entry = view.lookup(path, { followLast: selector.followLast })
    if (entry === undefined) {
      // With patterns nothing may be left of anything; that it is not there at all is found when it is to be copied.
      if (hasPatterns(selector)) return []
      throw notFound(view, selector.path)
    }
    const entries = [...selectEntries(view, entry, selector)]
    if (followsChildren(selector, path)) requireTargets(view, entries)
    return [{ name: '', entries }]
  }
  return expandWildcard(view, path).map((match) => {
    const entry = view.lookup(match, { followLast: selector.followLast })
    if (entry === undefined) throw notFound(view, fromByteString(match))
    return { name: baseName(match), entries: [...selectEntries(view, entry, selector)] }
  })
}

// With patterns, BuildKit looks at the content of a directory whose name ends in a slash (the root's does) entry by
// entry, each as if it were named: a link among them is followed, and must lead somewhere.
function followsChildren(selector: ContentSelector, path: ByteString): boolean {
  return hasPatterns(selector) && selector.followLast && (path === '' || selector.path.endsWith('/'))
}

function hasPatterns({ includePatterns, excludePatterns }: ContentSelector): boolean {
  return includePatterns.length > 0 || excludePatterns.length > 0
}

function requireTargets(view: View, entries: readonly SelectedEntry[]): void {
  for (const { entry, relativePath } of entries) {
    if (entry.type !== 'symlink' || relativePath.includes('/')) continue
    if (view.lookup(entry.path, { followLast: true }) === undefined) throw notFound(view, fromByteString(entry.path))
  }
}

/** What BuildKit says of a source that is not there; the hint is ours. */
function notFound(view: View, path: string): BuilderError {
  const clean = cleanPath(toByteString(path))
  const hint = deadLinkHint(view, clean) ?? nearestHint(view, clean)
  return new BuilderError(
    'OCI_COPY_SOURCE_NOT_FOUND',
    `failed to calculate checksum: ${quote(`/${fromByteString(clean)}`)}: not found`,
    { details: { path }, hint },
  )
}

/** The name may be right and its link wrong: what is not there is what the link names. */
function deadLinkHint(view: View, path: ByteString): string | undefined {
  const entry = view.lookup(path, { followLast: false })
  if (entry?.type !== 'symlink') return undefined
  return `it is a link to ${quote(fromByteString(entry.link ?? ''))}: nothing is there, and none leads outside`
}

function nearestHint(view: View, path: ByteString): string | undefined {
  const nearest = nearestName(view, path)
  return nearest === undefined ? undefined : `did you mean ${quote(fromByteString(nearest))}?`
}

/** Of larger directories only the first names are compared. */
const MAX_COMPARED = 2000

/** The path with its first missing name replaced by the one that it was probably meant to be. */
function nearestName(view: View, path: ByteString): ByteString | undefined {
  const parts = path.split('/')
  for (const [index, part] of parts.entries()) {
    const parent = parts.slice(0, index).join('/')
    if (view.lookup(joinPath(parent, part), { followLast: true }) !== undefined) continue
    const directory = view.lookup(parent, { followLast: true })
    const names = view
      .children(directory?.path ?? parent)
      .slice(0, MAX_COMPARED)
      .map((entry) => baseName(entry.path))
    const sameLetters = names.find((name) => lowerCase(name) === lowerCase(part))
    // Words so short are near to each other by chance.
    const meant = sameLetters ?? (part.length < 4 ? undefined : findSuggestion(part, names, { caseSensitive: true }))
    return meant === undefined ? undefined : [parent, meant, ...parts.slice(index + 1)].filter(Boolean).join('/')
  }
  return undefined
}

function needsDigest(entry: ViewEntry): boolean {
  return entry.type === 'file' && entry.size > 0 && entry.contentDigest === undefined
}

const FLUSH_CHARS = 1 << 16

function hashSelection(hash: Hash, selection: Selection, digests: ReadonlyMap<ViewEntry, Digest>): void {
  const firstOfLinks = new Map<string, ByteString>()
  let text = `${selection.name}\0selection\n`
  for (const { entry, relativePath } of selection.entries) {
    text += recordOf(entry, relativePath, entry.contentDigest ?? digests.get(entry), firstOfLinks)
    if (text.length < FLUSH_CHARS) continue
    hash.update(text, 'latin1')
    text = ''
  }
  hash.update(text, 'latin1')
}

/** Fields end in NUL, which is in none of them. */
function recordOf(
  entry: ViewEntry,
  path: ByteString,
  digest: Digest | undefined,
  firstOfLinks: Map<string, ByteString>,
): string {
  const isFile = entry.type === 'file'
  const device =
    entry.type === 'character' || entry.type === 'block' ? `${entry.devMajor ?? 0}:${entry.devMinor ?? 0}` : ''
  const size = isFile ? entry.size : 0
  const content = isFile && size > 0 ? digest!.slice(7) : ''
  const facts = `${entry.type}\0${entry.mode.toString(8)}\0${entry.uid}\0${entry.gid}\0${size}\0${device}\0`
  return `${path}\0${facts}${entry.link ?? ''}\0${linkOf(entry, path, firstOfLinks)}\0${xattrsOf(entry)}\0${content}\n`
}

/** Hard links within one selection stay hard links in the copy: the name of the first one counts. */
function linkOf(entry: ViewEntry, path: ByteString, firstOfLinks: Map<string, ByteString>): ByteString {
  if (entry.linkKey === undefined || entry.type === 'directory') return ''
  const first = firstOfLinks.get(entry.linkKey)
  if (first === undefined) firstOfLinks.set(entry.linkKey, path)
  return first === undefined ? '' : `=${first}`
}

function xattrsOf(entry: ViewEntry): string {
  if (entry.xattrs === undefined) return ''
  return [...entry.xattrs]
    .filter(([name]) => isOfFile(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')};`)
    .join('')
}
