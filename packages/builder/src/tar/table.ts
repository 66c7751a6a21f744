import type { ByteString } from '../base/byte-string.ts'
import { fromByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import type { Digest } from '../oci/digest.ts'
import { makeEntry } from '../view/entry.ts'
import { OPAQUE_NAME, WHITEOUT_PREFIX } from './header.ts'
import { createLinkGroups } from './link-groups.ts'
import { createPathIndex, type PathIndex } from '../view/path-index.ts'
import { baseName, cleanPath, comparePaths, joinPath, parentPath } from '../view/paths.ts'
import { createTableBounds } from './table-bounds.ts'
import { unpackedTime, type TarEntry } from './tar-entry.ts'
import type { ContentSource, LayerEntry, LayerTable } from '../view/types.ts'

/** Content of a range whose file is the layer's own tar, wherever that will lie. */
export const OWN_TAR = ''

/** Sorts entries as a layer is; of one path a whiteout comes before the entry, and that before an opaque marker. */
export function sortEntries(entries: LayerEntry[]): LayerEntry[] {
  for (let i = 1; i < entries.length; i++) {
    // Nearly every producer walks in order: look before sorting.
    if (compareEntries(entries[i - 1]!, entries[i]!) > 0) return entries.sort(compareEntries)
  }
  return entries
}

function compareEntries(a: LayerEntry, b: LayerEntry): number {
  return comparePaths(a.path, b.path) || rank(a) - rank(b)
}

function rank(entry: LayerEntry): number {
  return entry.type === 'whiteout' ? 0 : entry.type === 'opaque' ? 2 : 1
}

/**
 * Of several names of one file the first in order carries the data, as in a tar that is written from the table; a tar
 * that we read may have had them in another order. Links to lower layers stay as they are.
 */
export function orderLinks(entries: LayerEntry[]): LayerEntry[] {
  const links = new Map<ByteString, ByteString>()
  for (const entry of entries) if (entry.type === 'hardlink') links.set(entry.path, entry.link!)
  if (links.size === 0) return entries
  const ownerOf = createOwnerFinder(links)
  const owners = new Set([...links.keys()].map(ownerOf))
  const files = indexEntries({ entries })
  const firstNames = new Map<ByteString, ByteString>()
  return entries.map((entry) => {
    const isOwner = owners.has(entry.path) && files.get(entry.path) === entry
    if (entry.type !== 'hardlink' && !isOwner) return entry
    const owner = entry.type === 'hardlink' ? ownerOf(entry.path) : entry.path
    const file = files.get(owner)
    if (file === undefined || file.type === 'hardlink' || file.type === 'directory') return entry
    const first = firstNames.get(owner)
    if (first === undefined) {
      firstNames.set(owner, entry.path)
      return entry.path === owner ? entry : { ...file, path: entry.path }
    }
    const fields = { ...file, path: entry.path, type: 'hardlink' as const, size: 0, link: first }
    return makeEntry({ ...fields, content: undefined, contentDigest: undefined })
  })
}

/** The name at the end of a chain of links. Each link is followed once, however many chains it is part of. */
function createOwnerFinder(links: ReadonlyMap<ByteString, ByteString>): (path: ByteString) => ByteString {
  const known = new Map<ByteString, ByteString>()
  return (path) => {
    const chain = new Set<ByteString>()
    let at = path
    for (let next = links.get(at); next !== undefined && !known.has(at) && !chain.has(at); next = links.get(at)) {
      chain.add(at)
      at = next
    }
    // A circle of links ends nowhere: each stands for itself, and no file of that name is found.
    const isCircle = chain.has(at)
    const owner = known.get(at) ?? at
    for (const link of chain) known.set(link, isCircle ? link : owner)
    return known.get(path) ?? owner
  }
}

/** The entry of each path, markers left out. */
function indexEntries(table: LayerTable): ReadonlyMap<ByteString, LayerEntry> {
  const found = new Map<ByteString, LayerEntry>()
  for (const entry of table.entries)
    if (entry.type !== 'whiteout' && entry.type !== 'opaque') found.set(entry.path, entry)
  return found
}

/** Collects the entries of a tar in its order, as unpacking would leave them. */
export interface TableBuilder {
  /**
   * Where the entry stands once its name is cleaned and its parents are followed; undefined for what a layer ignores
   * (the root, metadata of aufs). Throws OCI_LAYER_INVALID.
   */
  add(entry: TarEntry, content: ContentSource | undefined): LayerEntry | undefined
  /** Sets the digest of an entry that `add` answered. */
  setDigest(entry: LayerEntry, digest: Digest): void
  finish(): LayerTable
}

const MAX_LINKS = 255
/** To chown(2) it means that the owner stays, which is root of what was just made. */
const NO_ID = 0xffff_ffff

/** A tar of an overlay's upper directory as it lies on the disk: it hides the name wherever it is mounted. */
const isOverlayWhiteout = ({ type, devMajor, devMinor }: TarEntry): boolean =>
  type === 'character' && devMajor === 0 && devMinor === 0

const unpackedId = (id: number): number => (id === NO_ID ? 0 : id)

/**
 * Names are read as containerd reads them: absolute ones and `..` stay in the root, parents that are symlinks of the
 * same layer are followed inside the root, a later entry replaces an earlier one (two directories merge).
 */
export function createTableBuilder(): TableBuilder {
  // Nothing is ever deleted: a Map of V8 that a key leaves and enters again and again finds it slower each time.
  const entries = new Map<ByteString, LayerEntry | undefined>()
  const whiteouts = new Map<ByteString, LayerEntry>()
  const opaques = new Map<ByteString, LayerEntry>()
  const implied = new Map<ByteString, boolean>()
  const links = createLinkGroups()
  const bounds = createTableBounds()
  // Made when a directory first gives way to something else, which hardly any layer does.
  let index: PathIndex | undefined
  let lastRaw: ByteString | undefined
  let lastParent: ByteString = ''

  function add(raw: TarEntry, content: ContentSource | undefined): LayerEntry | undefined {
    bounds.take(raw)
    const clean = cleanPath(raw.name)
    if (clean === '' || clean.startsWith('.wh..wh.')) return undefined
    const name = baseName(clean)
    const directory = resolveParent(parentPath(clean))
    if (name.startsWith(WHITEOUT_PREFIX)) return addMarker(directory, name)
    const path = joinPath(directory, name)
    if (isOverlayWhiteout(raw)) return isTaken(path) ? undefined : addWhiteout(path)
    const link = raw.type === 'hardlink' ? resolveLink(raw.link, path) : raw.type === 'symlink' ? raw.link : undefined
    const isDevice = raw.type === 'character' || raw.type === 'block'
    const entry = makeEntry({
      path,
      type: raw.type,
      mode: raw.type === 'symlink' ? 0o777 : raw.mode,
      uid: unpackedId(raw.uid),
      gid: unpackedId(raw.gid),
      size: raw.size,
      ...unpackedTime(raw),
      link,
      devMajor: isDevice ? raw.devMajor : undefined,
      devMinor: isDevice ? raw.devMinor : undefined,
      xattrs: raw.xattrs,
      content: raw.size > 0 ? content : undefined,
    })
    replace(path, entry)
    return entry
  }

  function addMarker(directory: ByteString, name: ByteString): LayerEntry {
    if (name === OPAQUE_NAME) {
      const entry = makeEntry({ path: directory, type: 'opaque' })
      opaques.set(directory, entry)
      return entry
    }
    const target = name.slice(WHITEOUT_PREFIX.length)
    // `.wh...` would delete the directory's parent.
    if (target === '' || target === '.' || target === '..') throw invalid(name, 'deletes no name of its directory')
    return addWhiteout(joinPath(directory, target))
  }

  function addWhiteout(path: ByteString): LayerEntry {
    const entry = makeEntry({ path, type: 'whiteout' })
    whiteouts.set(path, entry)
    return entry
  }

  function isTaken(path: ByteString): boolean {
    return entries.get(path) !== undefined || implied.get(path) === true
  }

  function replace(path: ByteString, entry: LayerEntry): void {
    const before = entries.get(path)
    // A directory that no entry names exists all the same.
    const wasDirectory = implied.get(path) === true || before?.type === 'directory'
    if (wasDirectory) implied.set(path, false)
    if (before?.type === 'hardlink') links.leave(path)
    entries.set(path, entry)
    index?.add(path)
    if (wasDirectory && entry.type !== 'directory') dropBelow(path)
    if (before !== undefined) keepLinksOf(before)
    // A link to a link is one to the file, whatever becomes of the name between them.
    if (entry.type === 'hardlink') {
      const file = links.targetOf(entry.link!) ?? entry.link!
      links.join(path, file)
      setFileOf(entry, file)
    }
    if (before !== undefined || wasDirectory) lastRaw = undefined
  }

  /** Who unpacks a link sets the owner, mode, time and attributes of its header, which are then those of the file. */
  function setFileOf(link: LayerEntry, path: ByteString): void {
    const file = entries.get(path)
    if (file === undefined || file.type === 'directory' || file.type === 'hardlink') return
    const { mode, uid, gid, mtimeSec, mtimeNsec } = link
    if (file.type === 'symlink') {
      entries.set(path, { ...file, uid, gid })
      return
    }
    const xattrs = link.xattrs === undefined ? file.xattrs : new Map([...(file.xattrs ?? []), ...link.xattrs])
    entries.set(path, { ...file, mode, uid, gid, mtimeSec, mtimeNsec, ...(xattrs !== undefined && { xattrs }) })
  }

  function dropBelow(directory: ByteString): void {
    index ??= createPathIndex([...entries.keys(), ...implied.keys()])
    const dropped: LayerEntry[] = []
    for (const path of index.takeBelow(directory)) {
      const entry = entries.get(path)
      if (entry !== undefined) dropped.push(entry)
      if (entry?.type === 'hardlink') links.leave(path)
      entries.set(path, undefined)
      implied.set(path, false)
    }
    for (const entry of dropped) keepLinksOf(entry)
  }

  /** A file that is overwritten lives on under its other names. */
  function keepLinksOf(file: LayerEntry): void {
    if (file.type === 'directory' || file.type === 'hardlink') return
    const heir = links.inherit(file.path)
    if (heir !== undefined) entries.set(heir, { ...file, path: heir })
  }

  function resolveParent(directory: ByteString): ByteString {
    if (directory === lastRaw) return lastParent
    let resolved = directory
    if (entries.get(directory)?.type !== 'directory' && directory !== '') resolved = walkParents(directory)
    lastRaw = directory
    lastParent = resolved
    return resolved
  }

  function walkParents(directory: ByteString): ByteString {
    let at = knownDirectory(directory)
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
      const entry = entries.get(path)
      if (entry === undefined) {
        implied.set(path, true)
        index?.add(path)
      } else if (entry.type === 'symlink') {
        if (++followed > MAX_LINKS) throw invalid(directory, 'follows too many symbolic links')
        if (entry.link!.startsWith('/')) at = ''
        rest.unshift(...entry.link!.split('/'))
        continue
      } else if (entry.type !== 'directory') throw invalid(directory, 'is not a directory')
      at = path
    }
    return at
  }

  /** The longest beginning that is a directory: nothing on the way to one is a link. Deep paths are not walked again. */
  function knownDirectory(directory: ByteString): ByteString {
    let at = parentPath(directory)
    while (at !== '' && implied.get(at) !== true && entries.get(at)?.type !== 'directory') at = parentPath(at)
    return at
  }

  function resolveLink(target: ByteString, path: ByteString): ByteString {
    const clean = cleanPath(target)
    if (clean === '') throw invalid(path, 'is a hard link to the root')
    const resolved = joinPath(resolveParent(parentPath(clean)), baseName(clean))
    if (resolved === path) throw invalid(path, 'is a hard link to itself')
    return resolved
  }

  function linked(entry: LayerEntry | undefined): readonly LayerEntry[] {
    if (entry === undefined) return []
    const link = entry.type === 'hardlink' ? links.targetOf(entry.path) : undefined
    return [link === undefined || link === entry.link ? entry : { ...entry, link }]
  }

  function setDigest(entry: LayerEntry, digest: Digest): void {
    if (entries.get(entry.path) === entry) entries.set(entry.path, { ...entry, contentDigest: digest })
  }

  return {
    add,
    setDigest,
    finish: () => ({
      entries: orderLinks(
        sortEntries([...[...entries.values()].flatMap(linked), ...whiteouts.values(), ...opaques.values()]),
      ),
    }),
  }
}

function invalid(path: ByteString, why: string): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', `the layer's entry "${fromByteString(path)}" ${why}`)
}
