import type { Executor, ExecutorOptions } from './executor/types.ts'
import type { StepEdits } from './cdi/edits.ts'
import type { CdiDevice, CdiRegistry } from './cdi/types.ts'
import type { MachineReport } from './probe.ts'
import type { SnapshotChoice } from './snapshots/choose.ts'
import type { SnapshotName } from './snapshots/list.ts'
import type { ImagePlace, SnapshotPlace, TreeImage } from './snapshots/types.ts'

/**
 * Starts the process that mounts and runs steps, in the strongest isolation that the wish and the machine allow. Its
 * code is loaded here: a build in which everything is cached never gets this far.
 * Throws OCI_RUNTIME_ISOLATION_UNAVAILABLE with the reason and remedy of each that was tried, OCI_RUNTIME_CANCELED,
 * OCI_RUNTIME_NATIVE_MISSING, OCI_RUNTIME_UNSUPPORTED.
 * @example
 * await using executor = await startExecutor({ isolation: 'auto', stateDirectory: '/run/user/1000/tsbuild' })
 */
export async function startExecutor(options: ExecutorOptions): Promise<Executor> {
  const executor = await import('./executor/start.ts')
  return executor.startExecutor(options)
}

/**
 * Finds out what this machine can do by doing it: each isolation sets up a whole step, up to the exec of a command
 * that does not exist. Takes 10 to 30 ms.
 * @param options.directory where to try (overlay depends on the file system); the store's, else the temporary one
 */
export async function probeMachine(options: { readonly directory?: string } = {}): Promise<MachineReport> {
  const probe = await import('./probe.ts')
  return probe.probeMachine(options)
}

/**
 * Takes the first kind of snapshots that works at a place, or the one that is named.
 * Throws OCI_RUNTIME_UNSUPPORTED, with reason and remedy, for a named one that does not work here.
 */
export async function chooseSnapshots(wish: 'auto' | SnapshotName, place: SnapshotPlace): Promise<SnapshotChoice> {
  const choose = await import('./snapshots/choose.ts')
  return choose.chooseSnapshots(wish, place)
}

/** Mounts the image of a directory, made where there is none. Throws OCI_RUNTIME_UNSUPPORTED, OCI_RUNTIME_FILES. */
export async function openTreeImage(place: ImagePlace): Promise<TreeImage> {
  const loop = await import('./snapshots/loop/tree-image.ts')
  return loop.openTreeImage(place)
}

/**
 * What directories of the Container Device Interface offer: files that say what a device needs in a container.
 * @param directories the last that has a device decides; CDI's own are `/etc/cdi` and `/var/run/cdi`
 */
export async function loadCdiRegistry(directories: readonly string[]): Promise<CdiRegistry> {
  const registry = await import('./cdi/registry.ts')
  return registry.loadCdiRegistry(directories)
}

/** What a step is given for devices. Throws OCI_RUNTIME_UNSUPPORTED for hooks and their like, OCI_RUNTIME_MOUNT. */
export async function stepEdits(
  devices: readonly CdiDevice[],
  user: { readonly uid: number; readonly gid: number },
): Promise<StepEdits> {
  const edits = await import('./cdi/edits.ts')
  return edits.stepEdits(devices, user)
}
