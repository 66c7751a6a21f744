import {
  OpenFlags,
  chmodAt,
  chownAt,
  closeFd,
  createDirectoryCache,
  errnoOf,
  linkAt,
  mkdirAt,
  mknodAt,
  openAt,
  openRoot,
  setXattr,
  symlinkAt,
  utimensAt,
  writeFully,
  type DirectoryCache,
} from '@ts-oci/runtime'
import { BuilderError } from '../../base/errors.ts'
import { CAPABILITY } from '../../view/entry.ts'
import type { LayerEntry } from '../../view/types.ts'
import { platformFiles, type PlatformFile, type PlatformFilesOptions } from '../platform-files.ts'
import { changedSize } from '../tar/tar.ts'
import type { ExportSource } from '../types.ts'

export interface WriteTreeOptions extends PlatformFilesOptions {
  readonly signal: AbortSignal | undefined
}

/** Writes the files of the images below an empty directory, by (directory descriptor, name): no link of the image is followed. */
export async function writeTree(root: string, source: ExportSource, options: WriteTreeOptions): Promise<void> {
  const rootFd = openRoot(root)
  const directories = createDirectoryCache(rootFd)
  const isRoot = process.getuid?.() === 0
  const made: LayerEntry[] = []
  try {
    for await (const file of platformFiles(source, options)) {
      options.signal?.throwIfAborted()
      const { entry } = file
      const parent = directories.parent(entry.path)
      await create(directories, parent, file, options.signal)
      if (entry.type === 'directory') made.push(entry)
      else if (entry.type !== 'hardlink') finish(parent, entry, isRoot)
    }
    // Children change the times of their directory, and a directory may forbid them: it is finished after them.
    for (const entry of made.reverse()) finish(directories.parent(entry.path), entry, isRoot)
  } finally {
    directories.close()
    closeFd(rootFd)
  }
}

type Place = ReturnType<DirectoryCache['parent']>

async function create(
  directories: DirectoryCache,
  place: Place,
  file: PlatformFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { entry } = file
  switch (entry.type) {
    case 'directory':
      return mkdirAt(place.fd, place.name, 0o700)
    case 'symlink':
      return symlinkAt(entry.link ?? '', place.fd, place.name)
    case 'hardlink': {
      const target = directories.parent(entry.link ?? '')
      return linkAt(target.fd, target.name, place.fd, place.name)
    }
    case 'file':
      return writeFile(place, file, signal)
    case 'fifo':
      return mknodAt(place.fd, place.name, 'fifo', 0o600)
    case 'character':
    case 'block':
      return makeDevice(place, entry, entry.type)
    default:
      // A merged view has no whiteouts.
      return undefined
  }
}

function makeDevice(place: Place, entry: LayerEntry, type: 'character' | 'block'): void {
  if (process.getuid?.() === 0)
    return asWholeRoot(`${JSON.stringify(entry.path)} is a device`, () =>
      mknodAt(place.fd, place.name, type, 0o600, entry.devMajor ?? 0, entry.devMinor ?? 0),
    )
  throw new BuilderError('OCI_EXPORT_FAILED', `${JSON.stringify(entry.path)} is a device, which only root may make`, {
    hint: 'use type=tar, or run the build as root',
  })
}

/** Root of a container may have no capabilities (`--cap-drop ALL`). */
function asWholeRoot(what: string, work: () => void): void {
  try {
    work()
  } catch (cause) {
    if (errnoOf(cause) !== 'EPERM') throw cause
    throw new BuilderError('OCI_EXPORT_FAILED', `${what}, and root here lacks the capability to make it so`, {
      hint: 'use type=tar, or run without --cap-drop, or as another user, whose own all files then are',
      cause,
    })
  }
}

async function writeFile(
  place: Place,
  { entry, original, image }: PlatformFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const fd = openAt(place.fd, place.name, OpenFlags.write | OpenFlags.create | OpenFlags.exclusive, 0o600)
  try {
    let written = 0
    if (entry.size > 0) {
      for await (const chunk of image.readFile(original, signal)) {
        writeFully(fd, chunk)
        written += chunk.length
      }
    }
    if (written !== entry.size) throw changedSize(entry, written)
  } finally {
    closeFd(fd)
  }
}

/** Owner first: changing it clears set-id bits and capabilities. */
function finish({ fd, name }: Place, entry: LayerEntry, isRoot: boolean): void {
  if (isRoot)
    asWholeRoot(`${JSON.stringify(entry.path)} belongs to ${entry.uid}:${entry.gid}`, () =>
      chownAt(fd, name, entry.uid, entry.gid),
    )
  if (entry.type !== 'symlink') chmodAt(fd, name, entry.mode)
  const capability = entry.xattrs?.get(CAPABILITY)
  if (isRoot && capability !== undefined) setXattr(fd, name, CAPABILITY, capability)
  const time = { sec: entry.mtimeSec, nsec: entry.mtimeNsec }
  utimensAt(fd, name, time, time)
}
