import { closeFd, openRoot, walkTree, type PackedEntries } from '@ts-oci/runtime'
import { toByteString, type ByteString } from '../../base/byte-string.ts'
import { BuilderError } from '../../base/errors.ts'
import { makeEntry, toNanoseconds } from '../../view/entry.ts'
import { baseName, isWithin } from '../../view/paths.ts'
import type { LayerEntry } from '../../view/types.ts'
import type { GitCheckout } from './spec.ts'

/**
 * What lies in a checkout, or in one directory of it, as the entries of a layer: owned by root, with the modes that git
 * knows, whatever the umask was. Throws OCI_SOURCE_FAILED for a subdirectory that is none.
 */
export function checkoutEntries(
  workTree: string,
  source: GitCheckout,
  timeSec: number | undefined,
): readonly LayerEntry[] {
  const fd = openRoot(workTree)
  try {
    const found = walkTree(fd, { links: true })
    const top = toByteString(source.subdirectory)
    checkSubdirectory(found, top)
    const entries: LayerEntry[] = []
    for (let index = 0; index < found.length; index++) {
      const path = found.path(index)
      if (path === top || !isWithin(top, path) || isPointer(found, index, path, source)) continue
      entries.push(entryOf(found, index, path, top, workTree, timeSec))
    }
    return entries
  } finally {
    closeFd(fd)
  }
}

/** Directories all the way: a link could lead anywhere. */
function checkSubdirectory(found: PackedEntries, top: ByteString): void {
  if (top === '') return
  for (let index = 0; index < found.length; index++) if (found.path(index) === top && found.isDirectory(index)) return
  throw new BuilderError(
    'OCI_SOURCE_FAILED',
    `invalid subdir ${JSON.stringify(top)}: the repository has no directory of that name`,
    { details: { subdirectory: top } },
  )
}

/** The `.git` file of a submodule names a directory of this machine. */
function isPointer(found: PackedEntries, index: number, path: ByteString, source: GitCheckout): boolean {
  return !source.keepGitDirectory && baseName(path) === '.git' && found.isFile(index)
}

function entryOf(
  found: PackedEntries,
  index: number,
  path: ByteString,
  top: ByteString,
  workTree: string,
  timeSec: number | undefined,
): LayerEntry {
  const type = found.type(index)
  if (type !== 'file' && type !== 'directory' && type !== 'symlink') throw new Error(`git made a ${type}`)
  const size = type === 'file' ? found.size(index) : 0
  return makeEntry({
    path: top === '' ? path : path.slice(top.length + 1),
    type,
    mode: modeOf(type, found.mode(index)),
    size,
    mtimeSec: timeSec ?? found.mtimeSec(index),
    mtimeNsec: timeSec === undefined ? found.mtimeNsec(index) : 0,
    link: found.link(index),
    // Not a tree: those may have foreign owners, and are read by who has privilege.
    content:
      size > 0
        ? {
            kind: 'context',
            root: workTree,
            path,
            mtimeNs: toNanoseconds(found.mtimeSec(index), found.mtimeNsec(index)),
          }
        : undefined,
  })
}

function modeOf(type: 'file' | 'directory' | 'symlink', mode: number): number {
  if (type === 'symlink') return 0o777
  if (type === 'directory' || (mode & 0o100) !== 0) return 0o755
  // Objects of a repository are read-only.
  return (mode & 0o200) === 0 ? 0o444 : 0o644
}
