import { posix } from 'node:path'
import { constants } from 'node:os'
import { RuntimeError } from '../errors.ts'
import type { Network } from '../network/types.ts'
import { createFieldWriter, fieldTags } from '../protocol.ts'
import type { FieldWriter } from '../protocol.ts'
import type { OwnIds } from './kept-ids.ts'
import { overlayLimit } from './overlay.ts'
import { processFields } from './process-fields.ts'
import { deviceFields } from './devices.ts'
import { resourceFields } from './resources.ts'
import type { StepMount, StepSpec } from './types.ts'
import { rlimitNumbers } from './rlimits.ts'

const flagInsecure = 2
const flagInput = 8
const flagTerminal = 16
const mountKinds = { bind: 1, overlay: 2, tmpfs: 3, secret: 4 } as const
/** `enum mount_flag` of native/launcher/spec.h. */
const mountFlags = { readonly: 1, suid: 2, exec: 4, dev: 8 } as const

/** The payload of a RUN_STEP frame; ids in it are those of the executor's namespace. Throws OCI_RUNTIME_STEP_START or OCI_RUNTIME_MOUNT for what cannot be asked. */
export function encodeStep(step: StepSpec, network: Network, ownIds?: OwnIds): Buffer {
  const fields = createFieldWriter()
  rootFields(fields, step)
  processFields(fields, step.process)
  if (ownIds !== undefined) fields.u32(fieldTags.ownIds, ownIds.uid, ownIds.gid)
  fields.string(fieldTags.hostname, step.hostname)
  fields.bytes(fieldTags.hosts, Buffer.from(network.hosts(step.hostname, step.extraHosts)))
  fields.bytes(fieldTags.resolvConf, network.resolvConf())
  fields.u32(fieldTags.flags, network.stepFlags | ownFlags(step))
  for (const limit of step.rlimits ?? []) rlimitField(fields, limit)
  if (step.shmSizeBytes !== undefined) fields.u64(fieldTags.shmSize, step.shmSizeBytes)
  if (step.resources !== undefined) resourceFields(fields, step.resources, step.name)
  // Parents before what is mounted inside them.
  for (const mount of step.mounts.toSorted((a, b) => depth(a.target) - depth(b.target))) mountFields(fields, mount)
  for (const device of step.devices ?? []) deviceFields(fields, device)
  return fields.payload()
}

function ownFlags({ security, hasInput, terminal }: StepSpec): number {
  return (
    (security === 'insecure' ? flagInsecure : 0) |
    (hasInput === true ? flagInput : 0) |
    (terminal === true ? flagTerminal : 0)
  )
}

function rootFields(fields: FieldWriter, { name, root }: StepSpec): void {
  if (root.kind === 'directory') return fields.string(fieldTags.rootDirectory, root.path)
  if (root.lowers.length > overlayLimit) {
    throw new RuntimeError(
      'OCI_RUNTIME_MOUNT',
      `${name}: ${root.lowers.length} layers are more than the kernel stacks (${overlayLimit} beside the mount points)`,
      {
        hint: 'merge some RUN and COPY instructions below this step into fewer layers',
      },
    )
  }
  // The kernel wants the topmost first.
  for (const lower of root.lowers.toReversed()) fields.string(fieldTags.lower, lower)
  if (root.upper !== undefined) {
    if (root.work === undefined)
      throw new RuntimeError('OCI_RUNTIME_MOUNT', `${name}: an upper directory without a work directory`)
    fields.string(fieldTags.upper, root.upper)
    fields.string(fieldTags.work, root.work)
  }
}

function depth(path: string): number {
  return posix.normalize(path).split('/').filter(Boolean).length
}

function rlimitField(
  fields: FieldWriter,
  limit: { readonly type: string; readonly soft: number; readonly hard: number },
): void {
  const name = limit.type.toLowerCase().replace(/^rlimit_/, '')
  const number = Object.hasOwn(rlimitNumbers, name) ? rlimitNumbers[name] : undefined
  if (number === undefined)
    throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `unknown resource limit ${limit.type}`, {
      hint: `known: ${Object.keys(rlimitNumbers).join(', ')}`,
    })
  const content = Buffer.alloc(20)
  content.writeUInt32LE(number, 0)
  content.writeBigUInt64LE(limitValue(limit.soft), 4)
  content.writeBigUInt64LE(limitValue(limit.hard), 12)
  fields.bytes(fieldTags.rlimit, content)
}

/** Negative numbers and those that no 64 bits hold mean "no limit", which the kernel spells with all ones. */
function limitValue(value: number): bigint {
  return value < 0 || value >= 2 ** 64 ? 0xffff_ffff_ffff_ffffn : BigInt(Math.floor(value))
}

function checkedTarget(path: string): string {
  const target = posix.normalize(path).replace(/(?<=.)\/+$/, '')
  if (!posix.isAbsolute(target)) throw new RuntimeError('OCI_RUNTIME_MOUNT', `mount target ${path} is not absolute`)
  if (target === '/') throw new RuntimeError('OCI_RUNTIME_MOUNT', 'nothing can be mounted over the root of a step')
  // A mount inside /proc could cover what the runtime or the kernel's own checks rely on.
  if (/^\/proc(\/|$)/.test(target)) throw new RuntimeError('OCI_RUNTIME_MOUNT', `mount target ${path} lies in /proc`)
  return target
}

function mountFields(fields: FieldWriter, mount: StepMount): void {
  const target = checkedTarget(mount.target)
  const { source } = mount
  const refused = (mount.refuses ?? []).reduce((bits, what) => bits | mountFlags[what], 0)
  fields.u32(fieldTags.mount, mountKinds[source.kind], (mount.readonly ? mountFlags.readonly : 0) | refused)
  fields.string(fieldTags.mountTarget, target)
  switch (source.kind) {
    case 'bind':
      fields.string(fieldTags.mountSource, source.hostPath)
      if (source.subPath !== undefined) fields.string(fieldTags.mountSubPath, source.subPath, 'latin1')
      return
    case 'overlay':
      for (const lower of source.lowers.toReversed()) fields.string(fieldTags.mountLower, lower)
      fields.string(fieldTags.mountScratch, source.scratchDirectory)
      if (source.subPath !== undefined) fields.string(fieldTags.mountSubPath, source.subPath, 'latin1')
      return
    case 'tmpfs':
      if (source.mode !== undefined) fields.u32(fieldTags.mountMode, source.mode)
      if (source.sizeBytes !== undefined) fields.u64(fieldTags.mountSize, source.sizeBytes)
      return
    case 'secret':
      fields.bytes(fieldTags.mountContent, source.content)
      fields.u32(fieldTags.mountMode, source.mode)
      fields.u32(fieldTags.mountUid, source.uid)
      fields.u32(fieldTags.mountGid, source.gid)
  }
}

/** SIGKILL as the payload of a SIGNAL frame: the one signal that a namespace's first process cannot ignore. */
export function killPayload(): Buffer {
  return numbersPayload(constants.signals.SIGKILL)
}

/** Numbers one after the other, as small frames have them. */
export function numbersPayload(...values: readonly number[]): Buffer {
  const payload = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => payload.writeUInt32LE(value, 4 * index))
  return payload
}
