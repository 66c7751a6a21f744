/**
 * The contract between the runtime and whoever starts steps. Words are those of the OCI runtime specification.
 * Paths of the host are ordinary strings that this process chose itself (the store, a secret's file); names that come
 * from an image, a layer or a context are byte strings (one char per byte).
 */
import type { NetworkName } from '../network/list.ts'

export interface StepSpec {
  /** For messages. */
  readonly name: string
  readonly root: StepRoot
  readonly mounts: readonly StepMount[]
  readonly process: ProcessSpec
  readonly network: NetworkName
  readonly hostname: string
  /** Lines for /etc/hosts besides localhost: [address, name]; the address `host-gateway` is this machine's, as the step reaches it. */
  readonly extraHosts: readonly (readonly [string, string])[]
  /** `insecure` keeps all capabilities and no seccomp filter. */
  readonly security: 'sandbox' | 'insecure'
  readonly rlimits?: readonly { readonly type: string; readonly soft: number; readonly hard: number }[]
  readonly shmSizeBytes?: number
  readonly resources?: StepResources
  /** Nodes that it sees beside the standard ones, and may open. Not in isolation `chroot`. */
  readonly devices?: readonly StepDevice[]
  /**
   * Who started the executor has its own ids inside, where it is root otherwise; root inside is the first of its subordinate ids,
   * where it has some. No owners are emulated, no devices. As root of a machine nothing is otherwise; with ids that are shifted it is refused.
   */
  readonly keepsIds?: boolean
  /** Standard input is what `StepIo.onStart` is given a way to write; absent: there is none. */
  readonly hasInput?: boolean
  /** The three streams are a terminal of the step's own `/dev/pts`; what it shows comes as stdout. Not in isolation `chroot`. */
  readonly terminal?: boolean
}

/**
 * What a step may use, by cgroups of its own. A limit that this machine cannot set is an error
 * (OCI_RUNTIME_LIMIT_UNAVAILABLE).
 */
export interface StepResources {
  readonly memoryBytes?: number
  /** Memory and swap together, so no less than `memoryBytes`, which it needs; −1: as much swap as there is. */
  readonly memorySwapBytes?: number
  /** Weight beside other cgroups; 1024 is what one has that nobody weighed. 2 to 262144. */
  readonly cpuShares?: number
  /** Microseconds of processor time in each period. */
  readonly cpuQuotaUs?: number
  /** Microseconds; 100,000 where only a quota is given. */
  readonly cpuPeriodUs?: number
  /** `0-3,5`. */
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  /** Below which cgroup the step's own is made: an absolute path in the hierarchy, or a slice of systemd. It has to exist. */
  readonly cgroupParent?: string
}

/**
 * A device of the machine. As root its node is the step's own, with this mode and owner, and a cgroup lets it open for what
 * `access` says; in a user namespace it is the machine's node, and what opens is what its mode says.
 */
export interface StepDevice {
  /** Absolute, in the step's root; leaves no trace there. */
  readonly path: string
  /** Where the machine has it. */
  readonly hostPath: string
  /** Character, block, FIFO. */
  readonly type: 'c' | 'b' | 'p'
  readonly major: number
  readonly minor: number
  /** Permission bits. */
  readonly fileMode: number
  readonly uid: number
  readonly gid: number
  readonly access: { readonly read: boolean; readonly write: boolean }
}

/** What a step sees as `/`. Absolute host paths. */
export type StepRoot = OverlayRoot | DirectoryRoot

/** An overlay: `lowers` bottom first, as layers are listed in an image. */
export interface OverlayRoot {
  readonly kind: 'overlay'
  readonly lowers: readonly string[]
  /** Receives what the step writes; an empty directory of ours. Absent: the root is read-only. */
  readonly upper?: string
  readonly work?: string
}

/**
 * A plain directory that the step changes in place: it and what comes of a failure belong to the caller. Mount points that
 * it lacks are made in it and taken away again at the step's end, unless the step changed them.
 */
export interface DirectoryRoot {
  readonly kind: 'directory'
  readonly path: string
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
  /** What the kernel is to refuse of files there. */
  readonly refuses?: readonly ('suid' | 'exec' | 'dev')[]
}

export interface StepIo {
  /** Chunks as the step writes them. */
  onOutput(stream: 'stdout' | 'stderr', chunk: Uint8Array): void
  readonly signal?: AbortSignal
  /** Called once, when the step is on its way. */
  onStart?(control: StepControl): void
}

/** A step that runs; after its end all of it does nothing. */
export interface StepControl {
  /**
   * Resolves when the step's standard input took the chunk, with an errno name where it is closed; an empty one ends the input. One
   * at a time: what is written before the last one was taken is lost.
   */
  write(chunk: Uint8Array): Promise<string | undefined>
  resize(columns: number, rows: number): void
  /** To the command, which is process 1 of its namespace: it gets no signal that it does not handle, but SIGKILL and SIGSTOP. */
  kill(signal: number): void
  /** No more output is passed on, of any step of the executor, until `resume`. */
  pause(): void
  resume(): void
}

/** `exitCode` as a shell says it: 128 + n for signal n; 127 not found, 126 not executable. */
export interface StepExit {
  readonly exitCode: number
  readonly signal?: string
  readonly oomKilled: boolean
  /** Set when the process never ran: what failed and why (errno name). */
  readonly startError?: { readonly operation: string; readonly errno: string; readonly message: string }
}
