import type { IsolationMode } from '../isolation/list.ts'
import type { IdMapping, StepRoots } from '../isolation/types.ts'
import type { TreeImage } from '../snapshots/types.ts'
import type { NetworkName } from '../network/list.ts'
import type { NetworkKind } from '../network/types.ts'
import type { StepExit, StepIo, StepSpec } from '../steps/types.ts'
import type { TreeStream } from './tree-types.ts'

export interface ExecutorOptions {
  /** `auto` takes the strongest that the machine allows; a named one is refused when it cannot work. */
  readonly isolation: 'auto' | IsolationMode
  /** Directory of ours for sockets, stubs and cgroup leases; exists, private to the user. */
  readonly stateDirectory: string
  /** What the process for file jobs may touch, asked when it starts; absent: whatever the executor may. */
  readonly jobLimits?: () => JobLimits
  /** Mounted for an isolation that has root's own namespaces; for others it does nothing. */
  readonly image?: Pick<TreeImage, 'name' | 'at' | 'mountAgain'> | undefined
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

export interface OpenNetwork {
  readonly kind: NetworkKind
  readonly notice?: string
}

/** The process that mounts and starts steps. It and everything below it dies with this process, by `kill -9` too. */
export interface Executor extends AsyncDisposable {
  readonly isolation: IsolationMode
  /** What a build has to say once of the isolation. */
  readonly notice?: string
  readonly idMapping: IdMapping
  /** Which attribute marks opaque directories in the trees that its overlay mounts write. */
  readonly overlayXattr: 'trusted' | 'user'
  /** Which roots its steps may have: an isolation that mounts nothing takes plain directories alone. */
  readonly roots: StepRoots
  /** Name of the image whose trees it mounts; absent: it mounts those on the store's own disk. */
  readonly image?: string
  /**
   * Has a network prepared for steps, ahead of the first that asks for it, and tells what that is here: `default` is not the same
   * everywhere. `notice` is what a build has to say once of it.
   */
  openNetwork(name: NetworkName): Promise<OpenNetwork>
  /** Runs one process on a root file system; resolves when it ended and its namespaces are gone. */
  runStep(step: StepSpec, io: StepIo): Promise<StepExit>
  /**
   * Runs `handlers[name](input)` of the module at `moduleUrl` where files of foreign owners may be read and written: in
   * one Node child inside the executor, within its `jobLimits`. Input and output are structured clones.
   */
  runJob<Input, Output>(moduleUrl: string, name: string, input: Input, signal?: AbortSignal): Promise<Output>
  /**
   * Writes the new tree `tree` in a directory that holds nothing else: in a process that is confined to that directory, and
   * does what it is told in order.
   */
  writeTree(directory: string): TreeStream
  /**
   * Removes trees that a step wrote, whatever ids and modes are in them (absolute host paths; missing ones are fine).
   * Throws OCI_RUNTIME_FILES.
   */
  removeTrees(paths: readonly string[]): Promise<void>
  close(): Promise<void>
}
