/**
 * Where a tree lies on the disk of a user with one id, whose files have other owners to the steps alone: the owner is an
 * extended attribute of the file itself. The other side, and why it lies there: runtime/native/supervisor/record.h.
 */
import type { IdMapping } from '@ts-oci/runtime'
import { CAPABILITY } from '../view/entry.ts'
import type { LayerEntry } from '../view/types.ts'

const NAME = 'user.ts-oci.owner'
/** A capability attribute, on what can have no `user.*`: revision, uid, gid, and two marks where capabilities end. */
const SPECIAL_BYTES = 20
const REVISION = 0x02000000
const MARKS = [0x636f2d74, 0x72656e77] as const

const DEVICE_TYPES: Readonly<Record<number, 'character' | 'block'>> = { 0o020000: 'character', 0o060000: 'block' }

/** How owners and devices lie on the disk: as they are; devices as records, as no user namespace may make one; or both. */
export type OwnersOnDisk = 'keep' | 'record-devices' | 'record'

/** What a step's supervisor records: nothing, devices (which no user namespace may make), or owners too. */
export type RecordsOnDisk = 'none' | 'devices' | 'all'

export interface OwnerRecord {
  readonly uid: number
  readonly gid: number
  readonly device?: { readonly type: 'character' | 'block'; readonly major: number; readonly minor: number }
}

export function ownersOnDisk(mapping: IdMapping): OwnersOnDisk {
  return ({ none: 'keep', devices: 'record-devices', all: 'record' } as const)[recordsOnDisk(mapping)]
}

export function recordsOnDisk(mapping: IdMapping): RecordsOnDisk {
  return mapping.kind === 'single' ? 'all' : mapping.kind === 'identity' ? 'none' : 'devices'
}

/** The attribute that says whose an entry is; none for root's. A device is a file that says so. */
export function ownerXattr(
  entry: Pick<LayerEntry, 'type' | 'uid' | 'gid' | 'devMajor' | 'devMinor'>,
): readonly [name: string, value: Buffer] | undefined {
  const { type, uid, gid } = entry
  const isDevice = isDeviceType(type)
  if (uid === 0 && gid === 0 && !isDevice) return undefined
  if (type === 'symlink' || type === 'fifo') return [CAPABILITY, words(REVISION, uid, gid, ...MARKS)]
  if (!isDevice) return [NAME, words(uid, gid)]
  return [NAME, words(uid, gid, type === 'character' ? 0o020000 : 0o060000, entry.devMajor ?? 0, entry.devMinor ?? 0)]
}

export function isDeviceType(type: LayerEntry['type']): boolean {
  return type === 'character' || type === 'block'
}

/** Reads what {@link ownerXattr} or a supervisor wrote; undefined: root's. */
export function readOwnerRecord(xattrs: ReadonlyMap<string, Uint8Array> | undefined): OwnerRecord | undefined {
  const plain = xattrs?.get(NAME)
  if (plain !== undefined) return readPlain(Buffer.from(plain))
  const special = xattrs?.get(CAPABILITY)
  if (special === undefined || special.length < SPECIAL_BYTES) return undefined
  const [, uid, gid, ...marks] = [0, 1, 2, 3, 4].map((index) => Buffer.from(special).readUInt32LE(4 * index))
  return marks[0] === MARKS[0] && marks[1] === MARKS[1] ? { uid: uid!, gid: gid! } : undefined
}

/** What steers the emulation never comes from a layer. */
export function isRecordName(name: string): boolean {
  return name === NAME
}

/** A step can write the attribute itself: what makes no sense says nothing. */
function readPlain(value: Buffer): OwnerRecord | undefined {
  if (value.length !== 8 && value.length !== 20) return undefined
  const owner = { uid: value.readUInt32LE(0), gid: value.readUInt32LE(4) }
  const type = value.length === 20 ? DEVICE_TYPES[value.readUInt32LE(8)] : undefined
  if (type === undefined) return owner
  return { ...owner, device: { type, major: value.readUInt32LE(12), minor: value.readUInt32LE(16) } }
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, 4 * index)
  return bytes
}
