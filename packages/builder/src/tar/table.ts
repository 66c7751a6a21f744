import type { ByteString } from '../base/byte-string.ts'
import type { Digest } from '../oci/digest.ts'
import { makeEntry } from '../view/entry.ts'
import { baseName, cleanPath, joinPath, parentPath } from '../view/paths.ts'
import type { ContentSource, LayerEntry, LayerTable } from '../view/types.ts'
import { orderLinks, sortEntries } from './entry-order.ts'
import { OPAQUE_NAME, WHITEOUT_PREFIX } from './header.ts'
import { invalidEntry, LayerPaths } from './layer-paths.ts'
import { StandingEntries } from './standing-entries.ts'
import { createTableBounds } from './table-bounds.ts'
import { unpackedTime, type TarEntry } from './tar-entry.ts'

/** Content of a range whose file is the layer's own tar, wherever that will lie. */
export const OWN_TAR = ''

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

/** To chown(2) it means that the owner stays, which is root of what was just made. */
const NO_ID = 0xffff_ffff

/**
 * Names are read as containerd reads them: absolute ones and `..` stay in the root, parents that are symlinks of the
 * same layer are followed inside the root, a later entry replaces an earlier one (two directories merge).
 */
export function createTableBuilder(): TableBuilder {
  const standing = new StandingEntries()
  const paths = new LayerPaths(standing)
  const markers = createMarkers()
  const bounds = createTableBounds()
  return {
    add(raw, content) {
      bounds.take(raw)
      const clean = cleanPath(raw.name)
      if (clean === '' || clean.startsWith('.wh..wh.')) return undefined
      const name = baseName(clean)
      const directory = paths.directory(parentPath(clean))
      if (name.startsWith(WHITEOUT_PREFIX)) return markers.add(directory, name)
      const path = joinPath(directory, name)
      if (isOverlayWhiteout(raw)) return standing.isTaken(path) ? undefined : markers.addWhiteout(path)
      const entry = toLayerEntry(
        raw,
        path,
        raw.type === 'hardlink' ? paths.linkTarget(raw.link, path) : raw.link,
        content,
      )
      if (standing.put(path, entry)) paths.forget()
      return entry
    },
    setDigest: (entry, digest) => standing.setDigest(entry, digest),
    finish: () => ({ entries: orderLinks(sortEntries([...standing.list(), ...markers.list()])) }),
  }
}

/** Whiteouts, and directories that hide what is below them. */
interface Markers {
  /** Of a name that begins with the prefix of whiteouts. Throws OCI_LAYER_INVALID. */
  add(directory: ByteString, name: ByteString): LayerEntry
  addWhiteout(path: ByteString): LayerEntry
  list(): readonly LayerEntry[]
}

function createMarkers(): Markers {
  const whiteouts = new Map<ByteString, LayerEntry>()
  const opaques = new Map<ByteString, LayerEntry>()

  function addWhiteout(path: ByteString): LayerEntry {
    const entry = makeEntry({ path, type: 'whiteout' })
    whiteouts.set(path, entry)
    return entry
  }

  return {
    add(directory, name) {
      if (name === OPAQUE_NAME) {
        const entry = makeEntry({ path: directory, type: 'opaque' })
        opaques.set(directory, entry)
        return entry
      }
      const target = name.slice(WHITEOUT_PREFIX.length)
      // `.wh...` would delete the directory's parent.
      if (target === '' || target === '.' || target === '..')
        throw invalidEntry(name, 'deletes no name of its directory')
      return addWhiteout(joinPath(directory, target))
    },
    addWhiteout,
    list: () => [...whiteouts.values(), ...opaques.values()],
  }
}

/** A tar of an overlay's upper directory as it lies on the disk: it hides the name wherever it is mounted. */
function isOverlayWhiteout({ type, devMajor, devMinor }: TarEntry): boolean {
  return type === 'character' && devMajor === 0 && devMinor === 0
}

/** @param link where a hard link leads, or what a symlink says */
function toLayerEntry(
  raw: TarEntry,
  path: ByteString,
  link: ByteString,
  content: ContentSource | undefined,
): LayerEntry {
  const isDevice = raw.type === 'character' || raw.type === 'block'
  return makeEntry({
    path,
    type: raw.type,
    mode: raw.type === 'symlink' ? 0o777 : raw.mode,
    uid: unpackedId(raw.uid),
    gid: unpackedId(raw.gid),
    size: raw.size,
    ...unpackedTime(raw),
    link: raw.type === 'hardlink' || raw.type === 'symlink' ? link : undefined,
    devMajor: isDevice ? raw.devMajor : undefined,
    devMinor: isDevice ? raw.devMinor : undefined,
    xattrs: raw.xattrs,
    content: raw.size > 0 ? content : undefined,
  })
}

function unpackedId(id: number): number {
  return id === NO_ID ? 0 : id
}
