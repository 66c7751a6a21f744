import { lstatSync } from 'node:fs'
import { posix } from 'node:path'
import { RuntimeError } from '../errors.ts'
import type { StepDevice, StepMount } from '../steps/types.ts'
import type { CdiDevice, CdiDeviceNode, CdiMount, ContainerEdits } from './types.ts'

/** What devices ask for, in the words of a step. */
export interface StepEdits {
  /** Each takes the place of one of the same name. */
  readonly env: readonly string[]
  readonly devices: readonly StepDevice[]
  readonly mounts: readonly StepMount[]
  readonly additionalGids: readonly number[]
}

/** What a file may ask for and no step is given. */
const REFUSED = {
  hooks: 'programs of the machine that are run for a step (hooks)',
  netDevices: 'network interfaces of the machine (netDevices)',
  intelRdt: 'shares of caches and of memory bandwidth (intelRdt)',
} as const

/**
 * Puts together what the devices' files say, each file once, before its devices.
 * @param user of the step's process: who owns nodes that name no owner
 * @throws OCI_RUNTIME_UNSUPPORTED for what no step is given, OCI_RUNTIME_MOUNT for a device that the machine does not have
 */
export function stepEdits(
  devices: readonly CdiDevice[],
  user: { readonly uid: number; readonly gid: number },
): StepEdits {
  const parts: ContainerEdits[] = []
  const specs = new Set<string>()
  for (const device of devices) {
    if (!specs.has(device.spec.path)) parts.push(checked(device.spec.edits, device))
    specs.add(device.spec.path)
    parts.push(checked(device.edits, device))
  }
  // The last one that names a path has it.
  const nodes = new Map<string, StepDevice>()
  const mounts = new Map<string, StepMount>()
  for (const { deviceNodes = [] } of parts) for (const node of deviceNodes) nodes.set(node.path, nodeOf(node, user))
  for (const part of parts) for (const mount of part.mounts ?? []) mounts.set(mount.containerPath, mountOf(mount))
  const gids = parts.flatMap(({ additionalGids = [] }) => additionalGids).filter((gid) => gid !== 0)
  return {
    env: parts.flatMap(({ env = [] }) => env),
    devices: [...nodes.values()],
    mounts: [...mounts.values()],
    additionalGids: [...new Set(gids)],
  }
}

function checked(edits: ContainerEdits, device: CdiDevice): ContainerEdits {
  for (const name of Object.keys(REFUSED) as (keyof typeof REFUSED)[]) {
    const asked = edits[name]
    if (asked === undefined || (Array.isArray(asked) && asked.length === 0)) continue
    const hooks = name === 'hooks' ? (edits.hooks ?? []).map(({ hookName, path }) => `${hookName}: ${path}`) : []
    throw new RuntimeError(
      'OCI_RUNTIME_UNSUPPORTED',
      `device ${device.name} asks for ${REFUSED[name]}, which no step is given${hooks.length === 0 ? '' : `: ${hooks.join(', ')}`}`,
      {
        hint:
          name === 'hooks'
            ? `have ${device.spec.path} written without hooks, and let the step itself do what they did, as ldconfig`
            : `take ${name} out of ${device.spec.path}`,
      },
    )
  }
  return edits
}

const PERMISSIONS = 0o7777

function nodeOf(node: CdiDeviceNode, user: { readonly uid: number; readonly gid: number }): StepDevice {
  const { path, hostPath = path, permissions = 'rwm' } = node
  const wanted = node.type === 'u' ? 'c' : node.type || undefined
  const isWhole = wanted !== undefined && (wanted === 'p' || (node.major ?? 0) !== 0)
  const found = statOf(hostPath)
  if (found === undefined && !isWhole)
    throw new RuntimeError(
      'OCI_RUNTIME_MOUNT',
      `failed to stat CDI host device ${JSON.stringify(hostPath)}: no such device`,
      {
        hint: 'the specification of the device names it; is its driver loaded?',
      },
    )
  const type = wanted ?? found?.type ?? 'c'
  if (!isWhole && found?.type !== type)
    throw new RuntimeError(
      'OCI_RUNTIME_MOUNT',
      `CDI device (${JSON.stringify(path)}, ${JSON.stringify(hostPath)}), host type mismatch (${type}, ${found?.type ?? 'no device'})`,
    )
  const isNumbered = isWhole || (node.major ?? 0) !== 0
  const access = permissions === '' ? 'rwm' : permissions
  return {
    path,
    hostPath,
    type,
    major: (isNumbered ? node.major : found?.major) ?? 0,
    minor: (isNumbered ? node.minor : found?.minor) ?? 0,
    fileMode: (node.fileMode ?? found?.mode ?? 0) & PERMISSIONS,
    uid: node.uid ?? user.uid,
    gid: node.gid ?? user.gid,
    access: { read: access.includes('r'), write: access !== 'none' && access.includes('w') },
  } as StepDevice
}

type Found = Pick<StepDevice, 'type' | 'major' | 'minor'> & { readonly mode: number }

function statOf(path: string): Found | undefined {
  const status = lstatSync(path, { throwIfNoEntry: false, bigint: true })
  if (status === undefined) return undefined
  const type = status.isCharacterDevice() ? 'c' : status.isBlockDevice() ? 'b' : status.isFIFO() ? 'p' : undefined
  if (type === undefined) return undefined
  const { rdev } = status
  return {
    type,
    // As gnu_dev_major(3) and gnu_dev_minor(3) read it.
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
    mode: Number(status.mode) & PERMISSIONS,
  }
}

/** A step's mounts are its own: nothing is passed on in either direction. */
const NOTHING_TO_DO = ['rw', 'bind', 'rbind', 'suid', 'dev', 'exec', 'private', 'rprivate', 'slave', 'rslave']
const REFUSALS = { nosuid: 'suid', noexec: 'exec', nodev: 'dev' } as const

function mountOf({ hostPath, containerPath, options = [], type = '' }: CdiMount): StepMount {
  const isBind = type === 'bind' || options.some((option) => option === 'bind' || option === 'rbind')
  const refuses: (typeof REFUSALS)[keyof typeof REFUSALS][] = []
  const tmpfs: { sizeBytes?: number; mode?: number } = {}
  for (const option of options) {
    if (Object.hasOwn(REFUSALS, option)) refuses.push(REFUSALS[option as keyof typeof REFUSALS])
    else if (!isBind && /^size=\d+$/.test(option)) tmpfs.sizeBytes = Number(option.slice('size='.length))
    else if (!isBind && /^mode=[0-7]+$/.test(option)) tmpfs.mode = Number.parseInt(option.slice('mode='.length), 8)
    else if (option !== 'ro' && !NOTHING_TO_DO.includes(option))
      throw unsupportedMount(containerPath, `option ${option}`)
  }
  if (!isBind && type !== 'tmpfs') throw unsupportedMount(containerPath, `type ${type || 'none, without bind'}`)
  if (isBind && !posix.isAbsolute(hostPath)) throw unsupportedMount(containerPath, `relative source ${hostPath}`)
  return {
    source: isBind ? { kind: 'bind', hostPath } : { kind: 'tmpfs', ...tmpfs },
    target: containerPath,
    readonly: options.findLast((option) => option === 'ro' || option === 'rw') === 'ro',
    refuses,
  }
}

function unsupportedMount(target: string, what: string): RuntimeError {
  return new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `mount ${target} of a CDI device: ${what} is not supported`, {
    hint: 'bind mounts and tmpfs, with ro, rw, nosuid, nodev, noexec, size and mode',
  })
}
