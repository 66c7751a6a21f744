import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { baseName, cleanPath, joinPath, parentPath } from '../view/paths.ts'
import type { StandingEntries } from './standing-entries.ts'

const MAX_LINKS = 255

/** Where the names of a layer lead, with the links that stand when they come. */
export class LayerPaths {
  private readonly standing: StandingEntries
  /** The directory that was asked for last: a tar goes directory by directory. */
  private lastRaw: ByteString | undefined = undefined
  private lastParent: ByteString = ''

  constructor(standing: StandingEntries) {
    this.standing = standing
  }

  /** What stood somewhere is replaced: a directory may lead elsewhere from now on. */
  forget(): void {
    this.lastRaw = undefined
  }

  /** Where a directory lies; it is made where nothing stands. Throws OCI_LAYER_INVALID. */
  directory(directory: ByteString): ByteString {
    if (directory === this.lastRaw) return this.lastParent
    const isPlain = directory === '' || this.standing.get(directory)?.type === 'directory'
    const resolved = isPlain ? directory : this.walk(directory)
    this.lastRaw = directory
    this.lastParent = resolved
    return resolved
  }

  /** Where the target of the hard link at `path` lies. Throws OCI_LAYER_INVALID. */
  linkTarget(target: ByteString, path: ByteString): ByteString {
    const clean = cleanPath(target)
    if (clean === '') throw invalidEntry(path, 'is a hard link to the root')
    const resolved = joinPath(this.directory(parentPath(clean)), baseName(clean))
    if (resolved === path) throw invalidEntry(path, 'is a hard link to itself')
    return resolved
  }

  private walk(directory: ByteString): ByteString {
    let at = this.knownDirectory(directory)
    let followed = 0
    const rest = directory.slice(at === '' ? 0 : at.length + 1).split('/')
    while (rest.length > 0) {
      const part = rest.shift()!
      if (part === '' || part === '.') continue
      if (part === '..') {
        at = parentPath(at)
        continue
      }
      const path = joinPath(at, part)
      const entry = this.standing.get(path)
      if (entry === undefined) this.standing.imply(path)
      else if (entry.type === 'symlink') {
        if (++followed > MAX_LINKS) throw invalidEntry(directory, 'follows too many symbolic links')
        if (entry.link!.startsWith('/')) at = ''
        rest.unshift(...entry.link!.split('/'))
        continue
      } else if (entry.type !== 'directory') throw invalidEntry(directory, 'is not a directory')
      at = path
    }
    return at
  }

  /** The longest beginning that is a directory: nothing on the way to one is a link. Deep paths are not walked again. */
  private knownDirectory(directory: ByteString): ByteString {
    let at = parentPath(directory)
    while (at !== '' && !this.standing.isDirectory(at)) at = parentPath(at)
    return at
  }
}

export function invalidEntry(path: ByteString, why: string): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', `the layer's entry "${fromByteString(path)}" ${why}`)
}
