import type { ByteString } from '../base/byte-string.ts'
import type { Digest } from '../oci/digest.ts'
import { createPathIndex, type PathIndex } from '../view/path-index.ts'
import type { LayerEntry } from '../view/types.ts'
import { createLinkGroups } from './link-groups.ts'

/**
 * What stands at each path while a layer is read, as unpacking would leave it: a later entry replaces an earlier one,
 * what lay below a directory goes with it, a file that is overwritten lives on under its other names.
 */
export class StandingEntries {
  // Nothing is ever deleted: a Map of V8 that a key leaves and enters again and again finds it slower each time.
  private readonly entries = new Map<ByteString, LayerEntry | undefined>()
  private readonly implied = new Map<ByteString, boolean>()
  private readonly links = createLinkGroups()
  // Made when a directory first gives way to something else, which hardly any layer does.
  private index: PathIndex | undefined = undefined

  get(path: ByteString): LayerEntry | undefined {
    return this.entries.get(path)
  }

  isDirectory(path: ByteString): boolean {
    return this.implied.get(path) === true || this.entries.get(path)?.type === 'directory'
  }

  isTaken(path: ByteString): boolean {
    return this.entries.get(path) !== undefined || this.implied.get(path) === true
  }

  /** A directory that no entry names exists all the same. */
  imply(path: ByteString): void {
    this.implied.set(path, true)
    this.index?.add(path)
  }

  /** Answers whether something stood there before. */
  put(path: ByteString, entry: LayerEntry): boolean {
    const before = this.entries.get(path)
    const wasDirectory = this.implied.get(path) === true || before?.type === 'directory'
    if (wasDirectory) this.implied.set(path, false)
    if (before?.type === 'hardlink') this.links.leave(path)
    this.entries.set(path, entry)
    this.index?.add(path)
    if (wasDirectory && entry.type !== 'directory') this.dropBelow(path)
    if (before !== undefined) this.keepLinksOf(before)
    if (entry.type === 'hardlink') this.link(path, entry)
    return before !== undefined || wasDirectory
  }

  setDigest(entry: LayerEntry, digest: Digest): void {
    if (this.entries.get(entry.path) === entry) this.entries.set(entry.path, { ...entry, contentDigest: digest })
  }

  /** In the order in which the paths came; hard links name the file itself. */
  list(): LayerEntry[] {
    return [...this.entries.values()].flatMap((entry) => this.linked(entry))
  }

  private linked(entry: LayerEntry | undefined): readonly LayerEntry[] {
    if (entry === undefined) return []
    const link = entry.type === 'hardlink' ? this.links.targetOf(entry.path) : undefined
    return [link === undefined || link === entry.link ? entry : { ...entry, link }]
  }

  /** A link to a link is one to the file, whatever becomes of the name between them. */
  private link(path: ByteString, entry: LayerEntry): void {
    const file = this.links.targetOf(entry.link!) ?? entry.link!
    this.links.join(path, file)
    this.setFileOf(entry, file)
  }

  /** Who unpacks a link sets the owner, mode, time and attributes of its header, which are then those of the file. */
  private setFileOf(link: LayerEntry, path: ByteString): void {
    const file = this.entries.get(path)
    if (file === undefined || file.type === 'directory' || file.type === 'hardlink') return
    const { mode, uid, gid, mtimeSec, mtimeNsec } = link
    if (file.type === 'symlink') {
      this.entries.set(path, { ...file, uid, gid })
      return
    }
    const xattrs = link.xattrs === undefined ? file.xattrs : new Map([...(file.xattrs ?? []), ...link.xattrs])
    this.entries.set(path, { ...file, mode, uid, gid, mtimeSec, mtimeNsec, ...(xattrs !== undefined && { xattrs }) })
  }

  private dropBelow(directory: ByteString): void {
    this.index ??= createPathIndex([...this.entries.keys(), ...this.implied.keys()])
    const dropped: LayerEntry[] = []
    for (const path of this.index.takeBelow(directory)) {
      const entry = this.entries.get(path)
      if (entry !== undefined) dropped.push(entry)
      if (entry?.type === 'hardlink') this.links.leave(path)
      this.entries.set(path, undefined)
      this.implied.set(path, false)
    }
    for (const entry of dropped) this.keepLinksOf(entry)
  }

  /** A file that is overwritten lives on under its other names. */
  private keepLinksOf(file: LayerEntry): void {
    if (file.type === 'directory' || file.type === 'hardlink') return
    const heir = this.links.inherit(file.path)
    if (heir !== undefined) this.entries.set(heir, { ...file, path: heir })
  }
}
