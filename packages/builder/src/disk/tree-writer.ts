import { errnoOf, type TreeAttributes, type TreeRecords } from '@ts-oci/runtime'
import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { baseName, parentPath } from '../view/paths.ts'
import type { LayerEntry } from '../view/types.ts'
import { isDeviceType, isRecordName, ownerXattr, type OwnersOnDisk } from './owner-record.ts'
import { createStandingNames } from './standing-names.ts'

export interface TreeWriterOptions {
  /** Which attribute marks opaque directories: what the overlay mounts of this machine read. */
  readonly xattrs: 'trusted' | 'user'
  readonly owners: OwnersOnDisk
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
  return new OverlayWriter(tree, options)
}

class OverlayWriter implements TreeWriter {
  private readonly tree: TreeRecords
  private readonly options: TreeWriterOptions
  private readonly names = createStandingNames()
  private readonly whiteouts = new Set<ByteString>()
  private readonly opaques = new Set<ByteString>()

  constructor(tree: TreeRecords, options: TreeWriterOptions) {
    this.tree = tree
    this.options = options
  }

  beginFile(entry: LayerEntry): void {
    this.clear(entry.path)
    this.names.add(entry.path, 'other')
    this.tree.beginFile(entry.path, attributesOf(entry, this.options))
  }

  place(entry: LayerEntry): void {
    switch (entry.type) {
      case 'file':
        this.beginFile(entry)
        return this.tree.endFile()
      case 'directory':
        return this.placeDirectory(entry)
      case 'whiteout':
        return void this.whiteouts.add(entry.path)
      case 'opaque':
        return void this.opaques.add(entry.path)
      case 'hardlink':
        return this.placeLink(entry)
      case 'symlink':
        this.clear(entry.path)
        this.names.add(entry.path, 'symlink')
        this.tree.makeSymlink(entry.path, entry.link ?? '')
        return this.tree.setAttributes(entry.path, attributesOf(entry, this.options))
      default:
        return this.placeNode(entry)
    }
  }

  setLinked(entry: LayerEntry): void {
    const attributes = attributesOf(entry, this.options)
    if (this.names.find(entry.path)?.kind !== 'symlink') this.tree.setAttributes(entry.path, attributes)
    else if (this.options.owners !== 'record')
      this.tree.setAttributes(entry.path, { owner: { uid: entry.uid, gid: entry.gid } })
    else this.tree.setAttributes(entry.path, { xattrs: attributes.xattrs })
  }

  finish(): void {
    for (const path of this.whiteouts) this.placeWhiteout(path)
    for (const path of this.opaques) if (path !== '') this.markOpaque(path)
    // Children first: a directory's mode may forbid what is below it, and its time changes with its content.
    for (const [path, { entry }] of this.names.directoriesUpwards())
      this.tree.setAttributes(path, entry === undefined ? { mode: 0o755 } : attributesOf(entry, this.options))
  }

  private placeDirectory(entry: LayerEntry): void {
    if (entry.path === '') return
    const standing = this.names.find(entry.path)
    if (standing?.kind === 'directory') {
      standing.entry = entry
      return
    }
    this.clear(entry.path)
    this.makeDirectory(entry.path, entry)
  }

  private placeLink(entry: LayerEntry): void {
    const target = entry.link ?? ''
    this.makeParents(entry.path)
    // The old name may be the new one, or lie below it.
    if (this.isLinkable(target)) this.clear(entry.path)
    const old = this.names.find(target)
    if (old === undefined || !this.isLinkable(target)) throw noTarget(entry)
    this.names.add(entry.path, old.kind)
    try {
      this.tree.makeLink(entry.path, target)
    } catch (error) {
      if (isMissingTarget(error)) throw noTarget(entry)
      throw error
    }
  }

  private isLinkable(path: ByteString): boolean {
    return (this.names.find(path)?.kind ?? 'directory') !== 'directory'
  }

  /** One that may not be made here stays in the table. */
  private placeNode(entry: LayerEntry): void {
    const type = entry.type as 'character' | 'block' | 'fifo'
    const major = entry.devMajor ?? 0
    const minor = entry.devMinor ?? 0
    // On the disk this would be a whiteout.
    if (type === 'character' && major === 0 && minor === 0) return
    this.clear(entry.path)
    this.names.add(entry.path, 'other')
    const attributes = attributesOf(entry, this.options)
    if (this.options.owners === 'keep' || type === 'fifo')
      return this.tree.makeNode(entry.path, { type, major, minor }, attributes)
    this.tree.beginFile(entry.path, attributes)
    this.tree.endFile()
  }

  private placeWhiteout(path: ByteString): void {
    // Something else has taken the place of its directory since, and hides what was below by itself.
    if (this.isBelowOther(path)) return
    this.makeParents(path)
    const standing = this.names.find(path)
    // The layer deletes a name and makes it anew: a directory then hides what was in the old one.
    if (standing?.kind === 'directory') this.opaques.add(path)
    if (standing !== undefined) return
    this.names.add(path, 'other')
    this.tree.makeNode(path, { type: 'character', major: 0, minor: 0 }, { strict: true })
  }

  private isBelowOther(path: ByteString): boolean {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const standing = this.names.find(path.slice(0, slash))
      if (standing?.kind !== 'directory') return standing !== undefined
    }
    return false
  }

  private markOpaque(path: ByteString): void {
    this.makeParents(path)
    const standing = this.names.find(path)
    if (standing === undefined) this.makeDirectory(path)
    else if (standing.kind !== 'directory') return
    this.tree.setAttributes(path, {
      xattrs: new Map([[`${this.options.xattrs}.overlay.opaque`, Buffer.from('y')]]),
      strict: true,
    })
  }

  /** Directories on the way that nobody listed are made. */
  private makeParents(path: ByteString): void {
    const directory = parentPath(path)
    const standing = this.names.find(directory)
    if (standing?.kind === 'directory') return
    if (standing !== undefined) throw invalid(path, 'lies below a file of the same layer')
    this.makeParents(directory)
    this.makeDirectory(directory)
  }

  private makeDirectory(path: ByteString, entry?: LayerEntry): void {
    this.tree.makeDirectory(path)
    this.names.add(path, 'directory', entry)
  }

  /** What an earlier entry of the same name left goes first. */
  private clear(path: ByteString): void {
    this.makeParents(path)
    if (this.names.find(path) === undefined) return
    this.tree.remove(path)
    this.names.remove(path)
  }
}

/** What an entry says of a file beside its content. */
export function attributesOf(entry: LayerEntry, { owners }: Pick<TreeWriterOptions, 'owners'>): TreeAttributes {
  // What is made is ours already: root's, in its namespace.
  const isOurs = owners === 'record' || (entry.uid === 0 && entry.gid === 0)
  const isRecorded = owners === 'record' || (owners === 'record-devices' && isDeviceType(entry.type))
  const record = isRecorded ? ownerXattr(entry) : undefined
  const xattrs = entry.xattrs && withoutSteering(entry.xattrs)
  return {
    owner: isOurs ? undefined : { uid: entry.uid, gid: entry.gid },
    mode: entry.type === 'symlink' ? undefined : entry.mode,
    mtime: { sec: entry.mtimeSec, nsec: entry.mtimeNsec },
    xattrs: record === undefined ? xattrs : new Map([...(xattrs ?? []), record]),
  }
}

/** Attributes that steer an overlay or a supervisor never come from a layer. */
function withoutSteering(xattrs: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  return new Map([...xattrs].filter(([name]) => !/^(trusted|user)\.overlay\./.test(name) && !isRecordName(name)))
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
