import {
  OpenFlags,
  chmodAt,
  chownAt,
  closeFd,
  openAt,
  openRoot,
  readDirectory,
  removeTree,
  renameAt,
  statAt,
  statAtIfPresent,
  utimensAt,
  type FileStat,
} from '@ts-oci/runtime'

const OWNER_ALL = 0o700

/**
 * Moves everything below `from` to `to`, both on one file system: directories merge, all else replaces what has its name.
 * A symlink that stands where a directory is to go is replaced and never followed.
 */
export function mergeTree(from: string, to: string): void {
  const fromFd = openRoot(from)
  const toFd = openRoot(to)
  try {
    mergeDirectory(fromFd, toFd)
  } finally {
    closeFd(fromFd)
    closeFd(toFd)
  }
}

function mergeDirectory(fromFd: number, toFd: number): void {
  for (const { name, type } of readDirectory(fromFd)) {
    const existing = statAtIfPresent(toFd, name)
    if (type === 'directory') moveDirectory(fromFd, toFd, name, existing)
    else moveFile(fromFd, toFd, name, existing)
  }
}

function moveFile(fromFd: number, toFd: number, name: string, existing: FileStat | undefined): void {
  if (existing?.type === 'directory') removeTree(toFd, name)
  renameAt(fromFd, name, toFd, name)
}

function moveDirectory(fromFd: number, toFd: number, name: string, existing: FileStat | undefined): void {
  const wanted = statAt(fromFd, name)
  // Moving a directory writes its `..`, and merging reads it: its own mode may forbid both to its owner.
  if ((wanted.mode & OWNER_ALL) !== OWNER_ALL) chmodAt(fromFd, name, wanted.mode | OWNER_ALL)
  if (existing?.type === 'directory') {
    if ((existing.mode & OWNER_ALL) !== OWNER_ALL) chmodAt(toFd, name, existing.mode | OWNER_ALL)
    mergeInto(fromFd, toFd, name)
  } else {
    if (existing !== undefined) removeTree(toFd, name)
    renameAt(fromFd, name, toFd, name)
  }
  if (process.getuid?.() === 0) chownAt(toFd, name, wanted.uid, wanted.gid)
  chmodAt(toFd, name, wanted.mode)
  const time = { sec: wanted.mtimeSec, nsec: wanted.mtimeNsec }
  utimensAt(toFd, name, time, time)
}

function mergeInto(fromFd: number, toFd: number, name: string): void {
  const flags = OpenFlags.read | OpenFlags.directory
  const fromChild = openAt(fromFd, name, flags)
  try {
    const toChild = openAt(toFd, name, flags)
    try {
      mergeDirectory(fromChild, toChild)
    } finally {
      closeFd(toChild)
    }
  } finally {
    closeFd(fromChild)
  }
}
