import { BuilderError } from '../../base/errors.ts'
import { fromByteString } from '../../base/byte-string.ts'
import type { Digest } from '../../oci/digest.ts'
import type { TarEntry } from '../../tar/tar-reader.ts'
import { MAX_ARCHIVE_ENTRIES, type ArchivedFile } from './file-set.ts'
import { archiveName, followLinks, linkTarget } from './links.ts'

/** What decides how the rest is read: two of them would be read as one by us and as the other by somebody else. */
const DOCUMENTS: ReadonlySet<string> = new Set(['manifest.json', 'index.json', 'oci-layout', 'repositories'])

export interface Entries {
  /** Answers whether it is a file. @throws OCI_ARCHIVE_INVALID */
  add(entry: TarEntry, path: string, offset: number): boolean
  /** The digest of the file that was added last. */
  setDigest(digest: Digest): void
  find(name: string): ArchivedFile | undefined
  /** @throws OCI_ARCHIVE_INVALID where a file goes beyond the end of what holds it */
  checkWithin(sizeBytes: number): void
}

type Kept = (ArchivedFile & { digest?: Digest }) | { readonly link: string }

/** What the entries of a tar are, by their names. */
export function createEntries(archive: string): Entries {
  const kept = new Map<string, Kept>()
  let last: (ArchivedFile & { digest?: Digest }) | undefined
  const isFile = (one: Kept): one is ArchivedFile => 'path' in one

  function keep(name: string, one: Kept): void {
    if (DOCUMENTS.has(name) && kept.has(name))
      throw new BuilderError('OCI_ARCHIVE_INVALID', `${archive} has two files ${name}`, {
        hint: 'no tool writes such an archive: do not use it',
      })
    if (kept.size >= MAX_ARCHIVE_ENTRIES)
      throw new BuilderError('OCI_ARCHIVE_INVALID', `${archive} has more than ${MAX_ARCHIVE_ENTRIES} entries`)
    kept.set(name, one)
  }

  return {
    add(entry, path, offset) {
      const name = archiveName(fromByteString(entry.name))
      if (name === undefined) return false
      if (entry.type === 'symlink') keep(name, { link: linkTarget(name, fromByteString(entry.link)) })
      if (entry.type === 'hardlink') keep(name, { link: archiveName(fromByteString(entry.link)) ?? '' })
      if (entry.type !== 'file') return false
      if (entry.map !== undefined)
        throw new BuilderError('OCI_ARCHIVE_INVALID', `${name} in ${archive} is a sparse file`, {
          hint: 'write the archive without --sparse',
        })
      const file: ArchivedFile & { digest?: Digest } = { size: entry.size, path, offset }
      keep(name, file)
      last = file
      return true
    },
    setDigest: (digest) => void (last!.digest = digest),
    find: (name) => followLinks<ArchivedFile>(name, (one) => kept.get(one), isFile),
    checkWithin(sizeBytes) {
      for (const [name, one] of kept)
        if (isFile(one) && one.offset + one.size > sizeBytes)
          throw new BuilderError('OCI_ARCHIVE_INVALID', `the archive ends in the middle of ${name}`, {
            hint: 'it is cut off: write or fetch it again',
          })
    },
  }
}
