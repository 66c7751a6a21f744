import type { NetworkName } from '@ts-oci/runtime/families'

/** `default` is what this machine gives to steps that name none. */
export type NetworkMode = NetworkName

/**
 * What a vertex does, in LLB's fields and nothing else (BuildKit's `pb.Op`): all of it is in the definition digest.
 * Names, progress groups and limits sit in the vertex' metadata, outside.
 */
export type OpSpec = SourceSpec | ExecSpec | FileSpec | MergeSpec | DiffSpec

/** `docker-image://`, `oci-layout://`, `local://`, `git://`, `http(s)://`; attributes as BuildKit names them. */
export interface SourceSpec {
  readonly kind: 'source'
  readonly identifier: string
  readonly attrs: Readonly<Record<string, string>>
}

export interface ExecSpec {
  readonly kind: 'exec'
  readonly meta: ExecMeta
  readonly mounts: readonly ExecMount[]
  readonly network: NetworkMode
  readonly security: 'sandbox' | 'insecure'
  /** Secrets given as environment variables. */
  readonly secretEnv: readonly { readonly id: string; readonly name: string; readonly optional: boolean }[]
  readonly cdiDevices?: readonly { readonly name: string; readonly optional: boolean }[]
}

export interface ExecMeta {
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly user: string
  readonly hostname: string
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[]
  /** Not part of the cache key; part of the definition. */
  readonly proxyEnv?: {
    readonly httpProxy: string
    readonly httpsProxy: string
    readonly ftpProxy: string
    readonly noProxy: string
    readonly allProxy: string
  }
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[]
  readonly cgroupParent?: string
  readonly validExitCodes?: readonly number[]
}

/** `input` −1: no input (scratch). `output` −1: no output (writes are discarded or the mount is read-only). */
export interface ExecMount {
  readonly input: number
  readonly selector: string
  readonly dest: string
  readonly output: number
  readonly readonly: boolean
  readonly type: 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh'
  readonly tmpfsSizeBytes?: number
  readonly cache?: { readonly id: string; readonly sharing: 'shared' | 'private' | 'locked' }
  readonly secret?: {
    readonly id: string
    readonly uid: number
    readonly gid: number
    readonly mode: number
    readonly optional: boolean
  }
  readonly ssh?: {
    readonly id: string
    readonly uid: number
    readonly gid: number
    readonly mode: number
    readonly optional: boolean
  }
}

export interface FileSpec {
  readonly kind: 'file'
  readonly actions: readonly FileAction[]
}

/**
 * `input` and `secondaryInput` count over the vertex' inputs first, then over the outputs of earlier actions
 * (inputs.length + index of the action); −1: scratch / none. `output` ≥ 0 names the vertex output it becomes, −1: intermediate.
 */
export interface FileAction {
  readonly input: number
  readonly secondaryInput: number
  readonly output: number
  readonly action: FileActionCopy | FileActionMkfile | FileActionMkdir | FileActionRm | FileActionSymlink
}

/** A user or group by number, or by name looked up in `/etc/passwd` and `/etc/group` of input `input`. */
export type OwnerId = { readonly id: number } | { readonly name: string; readonly input: number }
export interface Owner {
  readonly user?: OwnerId
  readonly group?: OwnerId
}

export interface FileActionCopy {
  readonly kind: 'copy'
  readonly src: string
  readonly dest: string
  readonly owner?: Owner
  /** −1: keep the source's. */
  readonly mode: number
  /** Symbolic mode (`u=rwX,go=rX`), empty when absent. */
  readonly modeStr: string
  readonly followSymlink: boolean
  readonly dirCopyContents: boolean
  readonly attemptUnpackDockerCompatibility: boolean
  readonly createDestPath: boolean
  readonly allowWildcard: boolean
  readonly allowEmptyWildcard: boolean
  /** Nanoseconds; −1: none. */
  readonly timestamp: number
  readonly includePatterns: readonly string[]
  readonly excludePatterns: readonly string[]
  readonly requiredPaths?: readonly string[]
  readonly alwaysReplaceExistingDestPaths: boolean
}

export interface FileActionMkfile {
  readonly kind: 'mkfile'
  readonly path: string
  readonly mode: number
  readonly data: Uint8Array
  readonly owner?: Owner
  readonly timestamp: number
}

export interface FileActionMkdir {
  readonly kind: 'mkdir'
  readonly path: string
  readonly mode: number
  readonly makeParents: boolean
  readonly owner?: Owner
  readonly timestamp: number
}

export interface FileActionRm {
  readonly kind: 'rm'
  readonly path: string
  readonly allowNotFound: boolean
  readonly allowWildcard: boolean
}

export interface FileActionSymlink {
  readonly kind: 'symlink'
  readonly oldpath: string
  readonly newpath: string
  readonly owner?: Owner
  readonly timestamp: number
}

/** Stacks all inputs on each other. */
export interface MergeSpec {
  readonly kind: 'merge'
}

/** What `upper` (input 1) adds to `lower` (input 0); −1: scratch. */
export interface DiffSpec {
  readonly kind: 'diff'
  readonly lower: number
  readonly upper: number
}
