/**
 * The contract between the runtime and whoever starts steps. Words are those of the OCI runtime specification.
 * Paths of the host are ordinary strings that this process chose itself (the store, a secret's file); names that come
 * from an image, a layer or a context are byte strings (one char per byte).
 */

export type IsolationMode = 'namespace' | 'rootless'

/** How ids inside the executor map to ids outside. */
export type IdMapping =
  | { readonly kind: 'identity' }
  | {
      readonly kind: 'subordinate'
      readonly uid: number
      readonly gid: number
      readonly subUidStart: number
      readonly subUidCount: number
      readonly subGidStart: number
      readonly subGidCount: number
    }
  | { readonly kind: 'single'; readonly uid: number; readonly gid: number }

export interface ExecutorOptions {
  /** `auto` takes the strongest that the machine allows; a named one is refused when it cannot work. */
  readonly isolation: 'auto' | IsolationMode
  /** Directory of ours for sockets, stubs and cgroup leases; exists, private to the user. */
  readonly stateDirectory: string
  /** What the process for file jobs may touch, asked when it starts; absent: whatever the executor may. */
  readonly jobLimits?: () => JobLimits
  readonly signal?: AbortSignal
}

/** Absolute paths of the host. All else is read-only, and where the kernel has Landlock out of reach. */
export interface JobLimits {
  /** The one directory that is not read-only. */
  readonly base: string
  /** Directories below it that may be written. */
  readonly writable: readonly string[]
  /** Directories and files that may be read besides those, the system's libraries and our own code. */
  readonly readable: readonly string[]
}

/** The process that mounts and starts steps. It and everything below it dies with this process, by `kill -9` too. */
export interface Executor extends AsyncDisposable {
  readonly isolation: IsolationMode
  readonly idMapping: IdMapping
  /** Which attribute marks opaque directories in the trees that its overlay mounts write. */
  readonly overlayXattr: 'trusted' | 'user'
  /** Runs one process on a root file system; resolves when it ended and its namespaces are gone. */
  runStep(step: StepSpec, io: StepIo): Promise<StepExit>
  /**
   * Runs `handlers[name](input)` of the module at `moduleUrl` where files of foreign owners may be read and written: in
   * one Node child inside the executor, within its `jobLimits`. Input and output are structured clones.
   */
  runJob<Input, Output>(moduleUrl: string, name: string, input: Input, signal?: AbortSignal): Promise<Output>
  /**
   * Removes trees that a step wrote, whatever ids and modes are in them (absolute host paths; missing ones are fine).
   * Throws OCI_RUNTIME_FILES.
   */
  removeTrees(paths: readonly string[]): Promise<void>
  close(): Promise<void>
}

export interface StepSpec {
  /** For messages. */
  readonly name: string
  readonly root: OverlayRoot
  readonly mounts: readonly StepMount[]
  readonly process: ProcessSpec
  readonly network: 'host' | 'none'
  readonly hostname: string
  /** Lines for /etc/hosts besides localhost: [address, name]. */
  readonly extraHosts: readonly (readonly [string, string])[]
  /** `insecure` keeps all capabilities and no seccomp filter. */
  readonly security: 'sandbox' | 'insecure'
  readonly rlimits?: readonly { readonly type: string; readonly soft: number; readonly hard: number }[]
  readonly shmSizeBytes?: number
}

/** An overlay: `lowers` bottom first, as layers are listed in an image. Absolute host paths. */
export interface OverlayRoot {
  readonly lowers: readonly string[]
  /** Receives what the step writes; an empty directory of ours. Absent: the root is read-only. */
  readonly upper?: string
  readonly work?: string
}

export interface ProcessSpec {
  readonly args: readonly string[]
  readonly env: readonly string[]
  /** Absolute, inside the root; created (0755, by `user`) when it is missing. */
  readonly cwd: string
  /** Numeric and resolved by the caller. */
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] }
}

/** Where a mount's content comes from. */
export type MountSource =
  /** A directory or file of the host, and a path inside it (byte string, resolved in root, no way out). */
  | { readonly kind: 'bind'; readonly hostPath: string; readonly subPath?: string }
  /** A merged tree of layers (bottom first) and a path inside it; writes are discarded. */
  | {
      readonly kind: 'overlay'
      readonly lowers: readonly string[]
      readonly subPath?: string
      readonly scratchDirectory: string
    }
  /** Without a mode it takes that of the directory that it covers, or 1777. */
  | { readonly kind: 'tmpfs'; readonly sizeBytes?: number; readonly mode?: number }
  /** A file on a tmpfs that never touches a disk. */
  | {
      readonly kind: 'secret'
      readonly content: Uint8Array
      readonly uid: number
      readonly gid: number
      readonly mode: number
    }

export interface StepMount {
  readonly source: MountSource
  /** Absolute path in the step's root; missing parents and the mount point are stubs that leave no trace in `upper`. */
  readonly target: string
  readonly readonly: boolean
}

export interface StepIo {
  /** Chunks as the step writes them. */
  onOutput(stream: 'stdout' | 'stderr', chunk: Uint8Array): void
  readonly signal?: AbortSignal
}

/** `exitCode` as a shell says it: 128 + n for signal n; 127 not found, 126 not executable. */
export interface StepExit {
  readonly exitCode: number
  readonly signal?: string
  readonly oomKilled: boolean
  /** Set when the process never ran: what failed and why (errno name). */
  readonly startError?: { readonly operation: string; readonly errno: string; readonly message: string }
}

/** What this machine can do, found by trying. */
export interface MachineReport {
  readonly kernel: string
  readonly isolations: readonly {
    readonly mode: IsolationMode
    readonly available: boolean
    readonly idMapping?: IdMapping['kind']
    readonly reason?: string
    readonly remedy?: string
  }[]
  readonly chosen?: IsolationMode
  readonly features: readonly { readonly name: string; readonly available: boolean; readonly remedy?: string }[]
}
