import { statSync } from 'node:fs'
import { posix } from 'node:path'
import { RuntimeError } from '../errors.ts'
import type { IdMapping } from '../isolation/types.ts'
import { fieldTags } from '../protocol.ts'
import type { FieldWriter } from '../protocol.ts'
import type { StepDevice } from './types.ts'

/** `MOUNT_DEVICE` of native/launcher/spec.h. */
const DEVICE_KIND = 5
/** S_IF… of stat(2). */
const fileTypes = { c: 0o020000, b: 0o060000, p: 0o010000 } as const
const TYPE_BITS = 0o170000

/** Writes the fields of a device. */
export function deviceFields(fields: FieldWriter, device: StepDevice): void {
  const { path, hostPath, type, major, minor, access } = device
  if (!posix.isAbsolute(path))
    throw new RuntimeError('OCI_RUNTIME_MOUNT', `the path ${path} of a device is not absolute`)
  fields.u32(fieldTags.mount, DEVICE_KIND, 0)
  fields.string(fieldTags.mountTarget, posix.normalize(path))
  fields.string(fieldTags.mountSource, hostPath)
  fields.u32(fieldTags.mountMode, fileTypes[type] | (device.fileMode & 0o7777))
  fields.u32(fieldTags.mountUid, device.uid)
  fields.u32(fieldTags.mountGid, device.gid)
  fields.u32(fieldTags.mountDevice, major, minor, (access.read ? 1 : 0) | (access.write ? 2 : 0))
}

/**
 * Refuses what a user namespace cannot give a step: nodes that are made there open nothing, so it is the machine's own, and that
 * one has to open for the ids of steps. Throws OCI_RUNTIME_UNSUPPORTED.
 */
export function checkDevices(
  devices: readonly StepDevice[],
  { idMapping, isolation }: { readonly idMapping: IdMapping; readonly isolation: string },
  stepName: string,
): void {
  if (devices.length > 0 && isolation === 'chroot')
    throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `${stepName}: isolation chroot gives steps no devices`, {
      hint: 'build where steps have namespaces: `tsbuild info` says what is missing',
    })
  if (idMapping.kind === 'identity') return
  for (const device of devices) {
    const fault = device.type === 'p' ? undefined : findFault(device, idMapping)
    if (fault !== undefined)
      throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `${stepName}: device ${device.hostPath} ${fault}`, {
        hint: 'steps have ids of their own here, and see the node of the machine: build as root of the machine (isolation namespace), or have others let to open it, by a rule of udev',
      })
  }
}

function findFault(device: StepDevice, mapping: Exclude<IdMapping, { kind: 'identity' }>): string | undefined {
  const found = statSync(device.hostPath, { throwIfNoEntry: false })
  if (found === undefined) return 'is not on this machine'
  const isIt = (found.mode & TYPE_BITS) === fileTypes[device.type] && found.rdev === deviceNumber(device)
  if (!isIt) return `is not the device ${device.type} ${device.major}:${device.minor} that was asked for`
  const wanted = (device.access.read ? 4 : 0) | (device.access.write ? 2 : 0)
  const { uids, gids } = stepIds(mapping)
  const bits =
    (found.mode & 7) | (gids(found.gid) ? (found.mode >> 3) & 7 : 0) | (uids(found.uid) ? (found.mode >> 6) & 7 : 0)
  if ((bits & wanted) === wanted) return undefined
  return `does not open for steps: it is of user ${found.uid} and group ${found.gid}, with mode ${(found.mode & 0o777).toString(8)}`
}

/** Which ids of the machine are those of steps. */
function stepIds(mapping: Exclude<IdMapping, { kind: 'identity' }>): Record<'uids' | 'gids', (id: number) => boolean> {
  const range = (start: number, count: number) => (id: number) => id >= start && id < start + count
  if (mapping.kind === 'shifted')
    return { uids: range(mapping.uidStart, mapping.uidCount), gids: range(mapping.gidStart, mapping.gidCount) }
  if (mapping.kind === 'single') return { uids: range(mapping.uid, 1), gids: range(mapping.gid, 1) }
  const { uid, gid, subUidStart, subUidCount, subGidStart, subGidCount } = mapping
  const [uids, gids] = [range(subUidStart, subUidCount), range(subGidStart, subGidCount)]
  return { uids: (id) => id === uid || uids(id), gids: (id) => id === gid || gids(id) }
}

/** As makedev(3) makes it. */
function deviceNumber({ major, minor }: Pick<StepDevice, 'major' | 'minor'>): number {
  const [high, low] = [BigInt(major), BigInt(minor)]
  return Number(((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn))
}
