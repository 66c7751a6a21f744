/** One vertex as BuildKit's solver reads it: field for field what its client writes, so that the bytes are the same. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { Platform } from '../oci/types.ts'
import type { ExecMount, ExecSpec, FileAction, FileActionCopy, OpSpec, Owner, OwnerId } from './op-specs.ts'
import {
  CacheSharingOpt,
  type ChownOptSchema,
  type ExecOpSchema,
  type FileActionCopySchema,
  type FileActionSchema,
  MountType,
  type MountSchema,
  NetMode,
  type Op,
  OpSchema,
  type PlatformSchema,
  SecurityMode,
  type UserOptSchema,
} from './proto/llb_pb.ts'
import type { Vertex } from './types.ts'

/** An input by the digest of its bytes. */
export interface OpInput {
  readonly digest: string
  readonly index: number
}

const PLATFORM_SOURCES = /^(?:docker-image|oci-layout):\/\//

/** `defaultPlatform` stands where a step or an image says none: both are always for one. */
export function createOp(vertex: Vertex, inputs: readonly OpInput[], defaultPlatform: Platform): Op {
  const { op } = vertex
  const platform = isPlatformSpecific(op) ? platformMessage(vertex.platform ?? defaultPlatform) : undefined
  return create(OpSchema, {
    inputs: inputs.map(({ digest, index }) => ({ digest, index: BigInt(index) })),
    op: opMember(op, inputs.length),
    ...(platform === undefined ? {} : { platform }),
    constraints: {},
  })
}

// The others are the same on every platform, and so are their keys.
function isPlatformSpecific(op: OpSpec): boolean {
  return op.kind === 'exec' || (op.kind === 'source' && PLATFORM_SOURCES.test(op.identifier))
}

function platformMessage(platform: Platform): MessageInitShape<typeof PlatformSchema> {
  return {
    Architecture: platform.architecture,
    OS: platform.os,
    Variant: platform.variant ?? '',
    OSVersion: platform['os.version'] ?? '',
    OSFeatures: [...(platform['os.features'] ?? [])],
  }
}

type OpMember = NonNullable<MessageInitShape<typeof OpSchema>['op']>

function opMember(op: OpSpec, inputCount: number): OpMember {
  switch (op.kind) {
    case 'source':
      return { case: 'source', value: { identifier: op.identifier, attrs: sortedRecord(op.attrs) } }
    case 'exec':
      return { case: 'exec', value: execMessage(op) }
    case 'file':
      return { case: 'file', value: { actions: op.actions.map(actionMessage) } }
    case 'merge':
      return {
        case: 'merge',
        value: { inputs: Array.from({ length: inputCount }, (_, index) => ({ input: BigInt(index) })) },
      }
    case 'diff':
      return { case: 'diff', value: { lower: { input: BigInt(op.lower) }, upper: { input: BigInt(op.upper) } } }
  }
}

// Go writes the entries of a map in the order of their keys.
function sortedRecord(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
}

// Another kind of network is LLB's unset one: which that is, each machine decides.
const NETWORKS: Readonly<Partial<Record<string, NetMode>>> = { host: NetMode.HOST, none: NetMode.NONE }
const SECURITY = { sandbox: SecurityMode.SANDBOX, insecure: SecurityMode.INSECURE } as const
const SHARING = {
  shared: CacheSharingOpt.SHARED,
  private: CacheSharingOpt.PRIVATE,
  locked: CacheSharingOpt.LOCKED,
} as const
const MOUNTS = {
  bind: MountType.BIND,
  secret: MountType.SECRET,
  ssh: MountType.SSH,
  cache: MountType.CACHE,
  tmpfs: MountType.TMPFS,
} as const

function execMessage(op: ExecSpec): MessageInitShape<typeof ExecOpSchema> {
  const { meta } = op
  return {
    meta: {
      args: [...meta.args],
      env: [...meta.env],
      cwd: meta.cwd,
      user: meta.user,
      ...(meta.proxyEnv === undefined ? {} : { proxyEnv: meta.proxyEnv }),
      extraHosts: meta.extraHosts.map(({ host, ip }) => ({ Host: host, IP: ip })),
      hostname: meta.hostname,
      ulimit: (meta.ulimits ?? []).map(({ name, soft, hard }) => ({
        Name: name,
        Soft: BigInt(soft),
        Hard: BigInt(hard),
      })),
      cgroupParent: meta.cgroupParent ?? '',
      removeMountStubsRecursive: true,
      validExitCodes: [...(meta.validExitCodes ?? [])],
    },
    mounts: op.mounts.map(mountMessage),
    network: NETWORKS[op.network] ?? NetMode.UNSET,
    security: SECURITY[op.security],
    secretenv: op.secretEnv.map(({ id, name, optional }) => ({ ID: id, name, optional })),
    cdiDevices: (op.cdiDevices ?? []).map(({ name, optional }) => ({ name, optional })),
  }
}

function mountMessage(mount: ExecMount): MessageInitShape<typeof MountSchema> {
  const { type, secret, ssh, cache } = mount
  // BuildKit's client leaves the output of these at its zero value, although they have none.
  const hasNoOutputField = type === 'secret' || type === 'ssh'
  return {
    input: BigInt(mount.input),
    selector: mount.selector,
    dest: mount.dest,
    output: hasNoOutputField ? 0n : BigInt(mount.output),
    readonly: mount.readonly,
    mountType: MOUNTS[type],
    ...(type === 'tmpfs' ? { TmpfsOpt: { size: BigInt(mount.tmpfsSizeBytes ?? 0) } } : {}),
    ...(cache === undefined ? {} : { cacheOpt: { ID: cache.id, sharing: SHARING[cache.sharing] } }),
    ...(secret === undefined
      ? {}
      : {
          secretOpt: { ID: secret.id, uid: secret.uid, gid: secret.gid, mode: secret.mode, optional: secret.optional },
        }),
    ...(ssh === undefined
      ? {}
      : { SSHOpt: { ID: ssh.id, uid: ssh.uid, gid: ssh.gid, mode: ssh.mode, optional: ssh.optional } }),
  }
}

function actionMessage({
  input,
  secondaryInput,
  output,
  action,
}: FileAction): MessageInitShape<typeof FileActionSchema> {
  return {
    input: BigInt(input),
    secondaryInput: BigInt(secondaryInput),
    output: BigInt(output),
    action: actionMember(action),
  }
}

function actionMember(action: FileAction['action']): NonNullable<MessageInitShape<typeof FileActionSchema>['action']> {
  switch (action.kind) {
    case 'copy':
      return { case: 'copy', value: copyMessage(action) }
    case 'mkfile':
      return {
        case: 'mkfile',
        value: {
          path: action.path,
          mode: action.mode,
          data: plainBytes(action.data),
          ...ownerMember(action.owner),
          timestamp: toInt64(action.timestamp),
        },
      }
    case 'mkdir':
      return {
        case: 'mkdir',
        value: {
          path: action.path,
          mode: action.mode,
          makeParents: action.makeParents,
          ...ownerMember(action.owner),
          timestamp: toInt64(action.timestamp),
        },
      }
    case 'rm':
      return {
        case: 'rm',
        value: { path: action.path, allowNotFound: action.allowNotFound, allowWildcard: action.allowWildcard },
      }
    case 'symlink':
      return {
        case: 'symlink',
        value: {
          oldpath: action.oldpath,
          newpath: action.newpath,
          ...ownerMember(action.owner),
          timestamp: toInt64(action.timestamp),
        },
      }
  }
}

function copyMessage(action: FileActionCopy): MessageInitShape<typeof FileActionCopySchema> {
  return {
    src: action.src,
    dest: action.dest,
    ...ownerMember(action.owner),
    mode: action.mode,
    followSymlink: action.followSymlink,
    dirCopyContents: action.dirCopyContents,
    attemptUnpackDockerCompatibility: action.attemptUnpackDockerCompatibility,
    createDestPath: action.createDestPath,
    allowWildcard: action.allowWildcard,
    allowEmptyWildcard: action.allowEmptyWildcard,
    timestamp: toInt64(action.timestamp),
    includePatterns: [...action.includePatterns],
    excludePatterns: [...action.excludePatterns],
    alwaysReplaceExistingDestPaths: action.alwaysReplaceExistingDestPaths,
    modeStr: action.modeStr,
    requiredPaths: [...(action.requiredPaths ?? [])],
  }
}

function ownerMember(owner: Owner | undefined): { owner?: MessageInitShape<typeof ChownOptSchema> } {
  if (owner === undefined) return {}
  return {
    owner: {
      ...(owner.user === undefined ? {} : { user: userMessage(owner.user) }),
      ...(owner.group === undefined ? {} : { group: userMessage(owner.group) }),
    },
  }
}

function userMessage(id: OwnerId): MessageInitShape<typeof UserOptSchema> {
  if ('id' in id) return { user: { case: 'byID', value: id.id } }
  return { user: { case: 'byName', value: { name: id.name, input: BigInt(id.input) } } }
}

// Nanoseconds of whole seconds are exact in a double.
function toInt64(value: number): bigint {
  return BigInt(Math.trunc(value))
}

function plainBytes(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(data)
}
