import { native, type NativeFiles } from '../native.ts'
import { filesError } from './errors.ts'
import { PackedEntries, RECORD_WORDS } from './packed-entries.ts'
import type { FileStat, PathResolution } from './types.ts'

const record = new ArrayBuffer(RECORD_WORDS * 4)
const statRecord = new PackedEntries(record, '')
let ready: NativeFiles | undefined

/** The addon, with the record that status calls of this thread fill. */
export function addon(): NativeFiles {
  if (ready === undefined) {
    ready = native()
    ready.setStatRecord(record)
  }
  return ready
}

/**
 * What the last call of this thread that asks for a status left, undecoded: index 0. The next such call overwrites it.
 */
export function lastStatRecord(): PackedEntries {
  return statRecord
}

/** The status that the last call left. */
export function lastStat(): FileStat {
  return statRecord.stat(0)
}

/** Passes a result that is not negative on; throws OCI_RUNTIME_FILES for `-errno`. */
export function check(result: number, syscall: string, path: string): number {
  if (result < 0) throw filesError(syscall, path, -result)
  return result
}

// Those that say "there is nothing of that name": a missing parent, and a file where a parent should be.
const ENOENT = 2
const ENOTDIR = 20

/** As `check`, but undefined where nothing of that name exists. */
export function checkPresent(result: number, syscall: string, path: string): number | undefined {
  if (result === -ENOENT || result === -ENOTDIR) return undefined
  return check(result, syscall, path)
}

/** RESOLVE_* of openat2(2). */
export function resolutionFlags(resolution: PathResolution): number {
  const noMagicLinks = 0x02
  const noSymlinks = 0x04
  const beneath = 0x08
  const inRoot = 0x10
  return resolution === 'in-root' ? inRoot | noMagicLinks : beneath | noSymlinks | noMagicLinks
}
