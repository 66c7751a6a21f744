import { errnoOf, type TreeAttributes, type TreeRecords } from '@ts-oci/runtime'
import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { baseName, parentPath } from '../view/paths.ts'
import type { LayerEntry } from '../view/types.ts'
import { createStandingNames } from './standing-names.ts'

export interface TreeWriterOptions {
  /** Which attribute marks opaque directories: what the overlay mounts of this machine read. */
  readonly xattrs: 'trusted' | 'user'
  /** `drop`: with a single id all files are ours, whoever the entry names. */
  readonly owners: 'keep' | 'drop'
}

/**
 * Writes a layer as a tree in overlay form, entry by entry, in the order of a tar, into an empty directory. Paths are clean.
 * It says what is to be made; `tree` makes it, here and at once or in another process and later.
 */
export interface TreeWriter {
  /** Begins a regular file: its content goes to the tree, then `endFile` of that. */
  beginFile(entry: LayerEntry): void
  /** Anything but a regular file with content. */
  place(entry: LayerEntry): void
  /** Gives the file behind a hard link that was placed the attributes of the link's own header. */
  setLinked(entry: LayerEntry): void
  /** Directories' attributes and whiteouts, when all else is there. */
  finish(): void
}

export function createTreeWriter(tree: TreeRecords, options: TreeWriterOptions): TreeWriter {
  const names = createStandingNames()
  const whiteouts = new Set<ByteString>()
  const opaques = new Set<ByteString>()

  /** Directories on the way that nobody listed are made. */
  function makeParents(path: ByteString): void {
    const directory = parentPath(path)
    const standing = names.find(directory)
    if (standing?.kind === 'directory') return
    if (standing !== undefined) throw invalid(path, 'lies below a file of the same layer')
    makeParents(directory)
    makeDirectory(directory)
  }

  function makeDirectory(path: ByteString, entry?: LayerEntry): void {
    tree.makeDirectory(path)
    names.add(path, 'directory', entry)
  }

  /** What an earlier entry of the same name left goes first. */
  function clear(path: ByteString): void {
    makeParents(path)
    if (names.find(path) === undefined) return
    tree.remove(path)
    names.remove(path)
  }

  function beginFile(entry: LayerEntry): void {
    clear(entry.path)
    names.add(entry.path, 'other')
    tree.beginFile(entry.path, attributesOf(entry, options))
  }

  function place(entry: LayerEntry): void {
    switch (entry.type) {
      case 'file':
        beginFile(entry)
        return tree.endFile()
      case 'directory':
        return placeDirectory(entry)
      case 'whiteout':
        return void whiteouts.add(entry.path)
      case 'opaque':
        return void opaques.add(entry.path)
      case 'hardlink':
        return placeLink(entry)
      case 'symlink':
        clear(entry.path)
        names.add(entry.path, 'symlink')
        tree.makeSymlink(entry.path, entry.link ?? '')
        return tree.setAttributes(entry.path, attributesOf(entry, options))
      default:
        return placeNode(entry)
    }
  }

  function placeDirectory(entry: LayerEntry): void {
    if (entry.path === '') return
    const standing = names.find(entry.path)
    if (standing?.kind === 'directory') {
      standing.entry = entry
      return
    }
    clear(entry.path)
    makeDirectory(entry.path, entry)
  }

  function placeLink(entry: LayerEntry): void {
    const target = entry.link ?? ''
    makeParents(entry.path)
    // The old name may be the new one, or lie below it.
    if (isLinkable(target)) clear(entry.path)
    const old = names.find(target)
    if (old === undefined || !isLinkable(target)) throw noTarget(entry)
    names.add(entry.path, old.kind)
    try {
      tree.makeLink(entry.path, target)
    } catch (error) {
      if (isMissingTarget(error)) throw noTarget(entry)
      throw error
    }
  }

  function isLinkable(path: ByteString): boolean {
    return (names.find(path)?.kind ?? 'directory') !== 'directory'
  }

  function setLinked(entry: LayerEntry): void {
    const attributes = attributesOf(entry, options)
    if (names.find(entry.path)?.kind !== 'symlink') tree.setAttributes(entry.path, attributes)
    else if (options.owners === 'keep') tree.setAttributes(entry.path, { owner: { uid: entry.uid, gid: entry.gid } })
  }

  /** One that may not be made here stays in the table. */
  function placeNode(entry: LayerEntry): void {
    const type = entry.type as 'character' | 'block' | 'fifo'
    const major = entry.devMajor ?? 0
    const minor = entry.devMinor ?? 0
    // On the disk this would be a whiteout.
    if (type === 'character' && major === 0 && minor === 0) return
    clear(entry.path)
    names.add(entry.path, 'other')
    tree.makeNode(entry.path, { type, major, minor }, attributesOf(entry, options))
  }

  function finish(): void {
    for (const path of whiteouts) placeWhiteout(path)
    for (const path of opaques) if (path !== '') markOpaque(path)
    // Children first: a directory's mode may forbid what is below it, and its time changes with its content.
    for (const [path, { entry }] of names.directoriesUpwards())
      tree.setAttributes(path, entry === undefined ? { mode: 0o755 } : attributesOf(entry, options))
  }

  function placeWhiteout(path: ByteString): void {
    // Something else has taken the place of its directory since, and hides what was below by itself.
    if (isBelowOther(path)) return
    makeParents(path)
    const standing = names.find(path)
    // The layer deletes a name and makes it anew: a directory then hides what was in the old one.
    if (standing?.kind === 'directory') opaques.add(path)
    if (standing !== undefined) return
    names.add(path, 'other')
    tree.makeNode(path, { type: 'character', major: 0, minor: 0 }, { strict: true })
  }

  function isBelowOther(path: ByteString): boolean {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const standing = names.find(path.slice(0, slash))
      if (standing?.kind !== 'directory') return standing !== undefined
    }
    return false
  }

  function markOpaque(path: ByteString): void {
    makeParents(path)
    const standing = names.find(path)
    if (standing === undefined) makeDirectory(path)
    else if (standing.kind !== 'directory') return
    tree.setAttributes(path, {
      xattrs: new Map([[`${options.xattrs}.overlay.opaque`, Buffer.from('y')]]),
      strict: true,
    })
  }

  return { beginFile, place, setLinked, finish }
}

function attributesOf(entry: LayerEntry, { owners }: TreeWriterOptions): TreeAttributes {
  // What is made is ours already: root's, in its namespace.
  const isOurs = owners === 'drop' || (entry.uid === 0 && entry.gid === 0)
  return {
    owner: isOurs ? undefined : { uid: entry.uid, gid: entry.gid },
    mode: entry.type === 'symlink' ? undefined : entry.mode,
    mtime: { sec: entry.mtimeSec, nsec: entry.mtimeNsec },
    xattrs: entry.xattrs && withoutOverlays(entry.xattrs),
  }
}

/** Attributes that steer an overlay never come from a layer. */
function withoutOverlays(xattrs: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  return new Map(
    [...xattrs].filter(([name]) => !name.startsWith('trusted.overlay.') && !name.startsWith('user.overlay.')),
  )
}

/** The old name of a link was a device that may not be made here. */
function isMissingTarget(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EPERM'].includes(errnoOf(error) ?? '')
}

function noTarget(entry: LayerEntry): BuilderError {
  return invalid(entry.path, `is a hard link to "${fromByteString(entry.link ?? '')}", which is no file of the layer`)
}

/** The name of the file below its directory; for messages. */
function invalid(path: ByteString, why: string): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', `the layer's entry "${fromByteString(path)}" ${why}`, {
    details: { path, name: baseName(path) },
  })
}
