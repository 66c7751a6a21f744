import type { ByteString } from '../base/byte-string.ts'
import { fromByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { makeEntry } from '../view/entry.ts'
import type { FileTarget, Ids } from '../view/file-target.ts'
import type { ForeignEntry } from './foreign-archive.ts'
import { baseName, joinPath, parentPath } from '../view/paths.ts'
import { unpackedTime, type TarEntry } from './tar-entry.ts'
import { newLinkKey } from '../view/tree.ts'
import type { ViewEntry } from '../view/types.ts'

/** What a kernel takes: bytes of one name, of a path, of a link's target. */
const NAME_MAX = 255
const PATH_MAX = 4095

/** As many as containerd follows. */
const MAX_LINKS = 255

/** -1 for chown(2): what it is. */
const NO_ID = 0xffff_ffff

/**
 * Unpacks entries into a directory as moby's archive code does: what stands in the way is replaced, two directories
 * become one, absolute links are followed inside the directory, a hard link is one file with what it names and sets its
 * mode, owner and time. Names, hard links and relative links that climb out are refused. `owner` replaces that of all.
 * Throws OCI_ARCHIVE_INVALID, also where a file system would refuse.
 */
export function placeArchive(
  entries: readonly ForeignEntry[],
  target: FileTarget,
  destination: ByteString,
  owner: Ids | undefined,
): void {
  const placer = new Placer(target, destination, owner)
  for (const { entry, content } of entries) placer.place(entry, content)
  placer.finish()
}

/** The names of a file, and what the last of its links said of it, which is told to all of them in the end. */
interface LinkedFile {
  readonly names: Set<ByteString>
  last: ViewEntry
}

class Placer {
  private readonly target: FileTarget
  private readonly destination: ByteString
  private readonly owner: Ids | undefined
  /** Files that this archive linked, by their link key. */
  private readonly linked = new Map<string, LinkedFile>()
  private readonly directories: { readonly raw: TarEntry; readonly path: ByteString }[] = []
  /** The parent that was asked for last, and where it is: archives go directory by directory. */
  private lastParent: ByteString | undefined = undefined
  private lastResolved: ByteString = ''

  constructor(target: FileTarget, destination: ByteString, owner: Ids | undefined) {
    this.target = target
    this.destination = destination
    this.owner = owner
  }

  place(raw: TarEntry, content: ForeignEntry['content']): void {
    const { target } = this
    const clean = cleanMember(raw, raw.name, 'entry name')
    if (clean === '') return
    checkName(raw, clean)
    const parent = this.makeParents(raw, parentPath(clean))
    const path = joinPath(parent, baseName(clean))
    const standing = target.entry(path)
    const isMerge = standing?.type === 'directory' && raw.type === 'directory'
    if (standing !== undefined && !isMerge) this.remove(path)
    if (raw.type === 'hardlink') this.placeLink(raw, path)
    else if (isMerge) target.update(this.attributesOf(raw, standing, path))
    else target.put(this.newEntry(raw, path, content))
    if (raw.type === 'directory') this.directories.push({ raw, path })
    if (raw.type === 'symlink' && raw.xattrs !== undefined) this.setBehindLink(raw, parent, path)
  }

  private remove(path: ByteString): void {
    this.lastParent = undefined
    this.target.remove(path)
  }

  /** Makes directories that the archive does not list, behind links to nothing too; answers where the parent really is. */
  private makeParents(raw: TarEntry, parent: ByteString): ByteString {
    const { target } = this
    if (parent === this.lastParent) return this.lastResolved
    const plain = joinPath(this.destination, parent)
    const isPlain = target.entry(plain)?.type === 'directory'
    const resolved = isPlain ? plain : this.resolve(raw, parent)
    if (!isPlain && target.entry(resolved)?.type !== 'directory')
      target.makeDirectories(resolved, { mode: 0o755, owner: undefined, time: undefined, isImplied: true })
    this.lastParent = parent
    this.lastResolved = resolved
    return resolved
  }

  /** Follows all links. A relative one may not climb out, unless an absolute one led to the directory's root before. */
  private resolve(raw: TarEntry, path: ByteString): ByteString {
    const rest = path.split('/').reverse()
    const found: ByteString[] = []
    let links = 0
    let isInRoot = false
    while (rest.length > 0) {
      const part = rest.pop()!
      if (part === '' || part === '.') continue
      if (part === '..') {
        if (found.pop() === undefined && !isInRoot) throw invalid(raw, 'follows a link that leads out')
        continue
      }
      const entry = this.target.entry(joinPath(this.destination, [...found, part].join('/')))
      if (entry?.type === 'symlink') {
        if (++links > MAX_LINKS) throw invalid(raw, 'follows too many symbolic links')
        if (entry.link!.startsWith('/')) {
          found.length = 0
          isInRoot = true
        }
        rest.push(...entry.link!.split('/').reverse())
      } else if (entry === undefined || entry.type === 'directory') found.push(part)
      else throw invalid(raw, 'lies below a file')
    }
    return joinPath(this.destination, found.join('/'))
  }

  private placeLink(raw: TarEntry, path: ByteString): void {
    const clean = cleanMember(raw, raw.link, 'hard link target')
    const file =
      clean === '' ? undefined : this.target.entry(joinPath(this.resolve(raw, parentPath(clean)), baseName(clean)))
    if (file === undefined || file.type === 'directory')
      throw invalid(raw, `is a hard link to "${fromByteString(raw.link)}", which is no file`)
    const group = this.groupOf(file)
    group.names.add(path)
    const { last } = group
    // The entry's own owner, mode and time are then those of the file, by all its names.
    group.last = file.type === 'symlink' ? { ...last, ...this.ids(raw, file.path) } : this.attributesOf(raw, last, path)
    this.target.put({ ...group.last, path })
  }

  /** A file of the image is copied up when it is linked: it is one with its new name, and no more with its old ones. */
  private groupOf(file: ViewEntry): LinkedFile {
    const known = file.linkKey === undefined ? undefined : this.linked.get(file.linkKey)
    if (known !== undefined) return known
    const linkKey = newLinkKey()
    const group = { names: new Set([file.path]), last: { ...file, linkKey } }
    this.linked.set(linkKey, group)
    this.target.update(group.last)
    return group
  }

  /** moby sets attributes by a path that it follows: those of a link come to what it names. */
  private setBehindLink(raw: TarEntry, parent: ByteString, path: ByteString): void {
    const below = this.destination === '' ? parent : parent.slice(this.destination.length + 1)
    const to = this.target.resolveBelow(this.destination, joinPath(below, baseName(path)))
    const standing = this.target.entry(to)
    if (standing === undefined) throw invalid(raw, 'sets attributes of what its link names, which is not there')
    this.target.update({ ...standing, xattrs: new Map([...(standing.xattrs ?? []), ...raw.xattrs!]) })
  }

  private newEntry(raw: TarEntry, path: ByteString, content: ForeignEntry['content']): ViewEntry {
    const isDevice = raw.type === 'character' || raw.type === 'block'
    return makeEntry({
      path,
      type: raw.type,
      mode: raw.type === 'symlink' ? 0o777 : raw.mode,
      ...this.ids(raw, path),
      size: raw.size,
      ...unpackedTime(raw),
      link: raw.type === 'symlink' ? raw.link : undefined,
      devMajor: isDevice ? raw.devMajor : undefined,
      devMinor: isDevice ? raw.devMinor : undefined,
      xattrs: raw.type === 'symlink' ? undefined : raw.xattrs,
      content,
    })
  }

  private attributesOf(raw: TarEntry, standing: ViewEntry, path: ByteString): ViewEntry {
    const xattrs = raw.xattrs === undefined ? standing.xattrs : new Map([...(standing.xattrs ?? []), ...raw.xattrs])
    return { ...standing, mode: raw.mode, ...this.ids(raw, path), ...unpackedTime(raw), xattrs }
  }

  private ids(raw: TarEntry, path: ByteString): Ids {
    if (this.owner !== undefined) return this.owner
    if (raw.uid !== NO_ID && raw.gid !== NO_ID) return { uid: raw.uid, gid: raw.gid }
    const kept = this.target.entry(path) ?? this.target.newOwner(path)
    return { uid: raw.uid === NO_ID ? kept.uid : raw.uid, gid: raw.gid === NO_ID ? kept.gid : raw.gid }
  }

  /** Last, since what came into them has set their times; whatever stands there by now. */
  finish(): void {
    const { target, destination } = this
    for (const { names, last } of this.linked.values()) {
      for (const path of names) if (target.entry(path)?.linkKey === last.linkKey) target.update({ ...last, path })
    }
    for (const { raw, path } of this.directories) {
      const below = destination === '' ? path : path.slice(destination.length + 1)
      const standing = target.entry(target.resolveBelow(destination, below))
      if (standing === undefined) throw invalid(raw, 'is gone when its time is to be set')
      target.update({ ...standing, ...unpackedTime(raw) })
    }
  }
}

/** A member's path below the destination, '' for that itself. One that climbs out is an attack. */
function cleanMember(raw: TarEntry, name: ByteString, what: string): ByteString {
  const kept: string[] = []
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') kept.push(part)
    else if (kept.pop() === undefined)
      throw new BuilderError('OCI_ARCHIVE_INVALID', `invalid ${what} "${fromByteString(name)}"`, {
        hint: 'the archive leads out of the directory that it is unpacked into',
        details: { path: raw.name },
      })
  }
  return kept.join('/')
}

/** Names that no file system takes: in a layer they would make an image that nobody can unpack. */
function checkName(raw: TarEntry, clean: ByteString): void {
  const isTooLong = clean.length > NAME_MAX && clean.split('/').some((part) => part.length > NAME_MAX)
  if (isTooLong || clean.length >= PATH_MAX)
    throw invalid({ ...raw, name: raw.name.slice(0, NAME_MAX) }, 'has a name that is too long')
  if (raw.type === 'symlink' && (raw.link === '' || raw.link.length > PATH_MAX))
    throw invalid(raw, 'is a symbolic link to a name that no link can hold')
}

function invalid(raw: TarEntry, why: string): BuilderError {
  return new BuilderError('OCI_ARCHIVE_INVALID', `the archive's entry "${fromByteString(raw.name)}" ${why}`, {
    details: { path: raw.name },
  })
}
