/**
 * The digest of a part of a file system as BuildKit computes it (its `contenthash`): what a cache that travels knows a
 * COPY's source by. Another one than ours (`content-digest.ts`), which need not read a file again whose sha256 is known.
 */
import { createHash } from 'node:crypto'
import { fromByteString, toByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { compareBytes, quote } from '../base/text.ts'
import { digestOf, type Digest } from '../oci/digest.ts'
import { isOfFile } from './entry.ts'
import { includedRecords } from './shared-selection.ts'
import { baseName, cleanPath } from './paths.ts'
import type { ContentSelector, View, ViewEntry } from './types.ts'
import { hasWildcard } from './wildcard.ts'

/** A file of a view, and what is hashed before its bytes. */
export interface HeadedFile {
  readonly entry: ViewEntry
  readonly head: Uint8Array
}

/** sha256 of each file's head and bytes, in the order of `files`. */
export type HeadedDigester = (files: readonly HeadedFile[]) => Promise<readonly Digest[]>

/**
 * What of a result decides, as BuildKit has it: the digests of all selectors as one. No selector: all of it. The first is
 * that of BuildKit's newest rules; a second one is what versions before 0.26 gave for wildcards and patterns.
 * @throws OCI_COPY_SOURCE_NOT_FOUND, OCI_COPY_INVALID, OCI_IGNORE_PATTERN
 */
export async function sharedDigests(
  view: View,
  selectors: readonly ContentSelector[],
  digestFiles: HeadedDigester,
  options: {
    /** A build context's root is never sent: it has no attributes that count. */
    readonly isContext: boolean
  },
): Promise<readonly Digest[]> {
  const chosen = selectors.length === 0 ? [WHOLE] : selectors
  const files = new Map<ViewEntry, Digest>()
  const unknown = new Map<ViewEntry, HeadedFile>()
  const collecting = createHasher(view, options.isContext, (entry) => {
    unknown.set(entry, { entry, head: headOf(entry) })
    return NOTHING
  })
  for (const selector of chosen) collecting(selector)
  const wanted = [...unknown.values()]
  if (wanted.length > 0)
    for (const [index, digest] of (await digestFiles(wanted)).entries()) files.set(wanted[index]!.entry, digest)
  const hashing = createHasher(view, options.isContext, (entry) => files.get(entry)!)
  const digests = chosen.map(hashing)
  const all = [digests.map(({ now }) => now), digests.map(({ before }) => before)].map((list) => list.join('\0'))
  return [...new Set(all)].map((text) => digestOf(text))
}

/** The digest of one selector by the rules of today, and by those before 0.26. */
interface SelectorDigests {
  readonly now: Digest
  readonly before: Digest
}

const NOTHING = digestOf('')

const WHOLE: ContentSelector = {
  path: '',
  followLast: false,
  allowWildcard: false,
  includePatterns: [],
  excludePatterns: [],
}

/** Digests of entries: `fileDigest` of files with bytes, the rest is known from the view. */
function createHasher(
  view: View,
  isContext: boolean,
  fileDigest: (entry: ViewEntry) => Digest,
): (selector: ContentSelector) => SelectorDigests {
  const trees = new Map<ByteString, Digest>()

  function headerDigest(entry: ViewEntry): Digest {
    return entry.path === '' && isContext ? NOTHING : digestOf(headOf(entry))
  }
  function entryDigest(entry: ViewEntry): Digest {
    if (entry.type === 'directory') return treeDigest(entry)
    return entry.type === 'file' && entry.size > 0 ? fileDigest(entry) : digestOf(headOf(entry))
  }
  function treeDigest(directory: ViewEntry): Digest {
    const known = trees.get(directory.path)
    if (known !== undefined) return known
    const hash = createHash('sha256')
    hash.update(`\0${headerDigest(directory)}`, 'latin1')
    for (const child of view.children(directory.path)) {
      hash.update(`\0${baseName(child.path)}`, 'latin1')
      hash.update(entryDigest(child), 'latin1')
    }
    const digest = `sha256:${hash.digest('hex')}` as Digest
    trees.set(directory.path, digest)
    return digest
  }
  function namedDigest(path: ByteString, followLast: boolean): Digest {
    const entry = view.lookup(path, { followLast })
    if (entry === undefined) throw notFound(path)
    return entryDigest(entry)
  }
  function listDigests(selector: ContentSelector): SelectorDigests {
    const { prefix, records } = includedRecords(view, selector)
    const digests = records.map(({ path, entry, isHeader, isFollowed }) => {
      if (isFollowed && entry.type === 'symlink') return namedDigest(path, selector.followLast)
      return isHeader ? headerDigest(entry) : entryDigest(entry)
    })
    const [only] = records
    if (only === undefined) return same(NOTHING)
    if (records.length === 1 && baseOf(selector.path) === baseOf(`/${fromByteString(only.path)}`))
      return same(digests[0]!)
    const hash = createHash('sha256')
    records.forEach(({ path }, index) => {
      const rest = path.slice(prefix.length)
      const key =
        rest === '' ? '\0' : `${rest.startsWith('/') || prefix !== '' ? '' : '/'}${rest}`.replaceAll('/', '\0')
      hash.update(key, 'latin1')
      hash.update(digests[index]!, 'latin1')
    })
    const named = records.map(({ path }, index) => `${baseName(path) || '/'}${digests[index]}`).join('\0')
    return {
      now: `sha256:${hash.digest('hex')}` as Digest,
      before: digestOf(Buffer.from(named, 'latin1')),
    }
  }
  return (selector) => {
    const path = cleanPath(toByteString(selector.path))
    const isPlain =
      !(selector.allowWildcard && hasWildcard(path)) &&
      selector.includePatterns.length === 0 &&
      selector.excludePatterns.length === 0
    return isPlain ? same(namedDigest(path, selector.followLast)) : listDigests(selector)
  }
}

function same(digest: Digest): SelectorDigests {
  return { now: digest, before: digest }
}

/** Go's `path.Base` of an absolute path. */
function baseOf(path: string): string {
  const clean = cleanPath(toByteString(path))
  return clean === '' ? '/' : fromByteString(baseName(clean))
}

const TYPE_FLAGS: Readonly<Partial<Record<ViewEntry['type'], string>>> = {
  file: '0',
  hardlink: '0',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

/** What of an entry counts beside its bytes: a tar header's fields, with their names, and no time. */
function headOf(entry: ViewEntry): Uint8Array {
  const isDevice = entry.type === 'character' || entry.type === 'block'
  const mode = entry.type === 'symlink' ? 0o777 : entry.mode & 0o7777
  const fields = [
    'name',
    `mode${mode}`,
    `uid${entry.uid}`,
    `gid${entry.gid}`,
    `size${entry.type === 'file' ? entry.size : 0}`,
    `typeflag${TYPE_FLAGS[entry.type] ?? '0'}`,
    `linkname${entry.type === 'symlink' ? (entry.link ?? '') : ''}`,
    'uname',
    'gname',
    `devmajor${isDevice ? (entry.devMajor ?? 0) : 0}`,
    `devminor${isDevice ? (entry.devMinor ?? 0) : 0}`,
  ]
  const xattrs = [...(entry.xattrs ?? [])].filter(([name]) => isOfFile(name)).sort(([a], [b]) => compareBytes(a, b))
  return Buffer.concat([
    Buffer.from(fields.join(''), 'latin1'),
    ...xattrs.flatMap(([name, value]) => [Buffer.from(name), value]),
  ])
}

function notFound(path: ByteString): BuilderError {
  const shown = quote(`/${fromByteString(path)}`)
  return new BuilderError('OCI_COPY_SOURCE_NOT_FOUND', `failed to calculate checksum: ${shown}: not found`, {
    details: { path: fromByteString(path) },
  })
}
