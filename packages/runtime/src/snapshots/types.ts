import type { IsolationMode } from '../isolation/list.ts'
import type { Refusal } from '../isolation/types.ts'

/** Where trees of steps are to lie, and who asks. */
export interface SnapshotPlace {
  /** The directory that would hold them; on whose disk they would lie. */
  readonly directory: string
  /** A directory for an image of a file system, where one is made: it may be missing. */
  readonly imageDirectory: string
  /** Changes with every start of the machine. */
  readonly bootId: string
  /** The isolation that was asked for. */
  readonly isolation: 'auto' | IsolationMode
  readonly signal?: AbortSignal | undefined
}

/** Which image. */
export type ImagePlace = Pick<SnapshotPlace, 'imageDirectory' | 'bootId' | 'signal'>

/**
 * A file system in a file of the store. It is mounted, and attached to no directory: this process reaches it by a descriptor
 * (`localPath`), an executor attaches a mount of its own at `at`. With the last of these it is unmounted and its loop device freed,
 * whoever is killed. All who mount it share one device, and so one cache of its blocks.
 */
export interface TreeImage {
  /** Of its file: another one has another name. */
  readonly name: string
  /** The path that it has for this process, by `localPath`, and for the executor. */
  readonly at: string
  /** A further mount of it, for an executor: a descriptor, which the caller closes. */
  mountAgain(): number
  /**
   * All that was written so far is in the file beneath. Throws OCI_RUNTIME_FILES with ENOSPC, or EIO, when some is lost since this was
   * last called: the disk beneath is full, which nobody who wrote was told.
   */
  sync(): void
  /** Gives room that is free in it back to the disk. */
  trim(): void
  /** Nobody mounts it from now on. */
  discard(): void
  close(): void
}

/** A kind that works here; `image` is open, and whoever takes it closes it. */
export interface OpenedSnapshots {
  readonly image?: TreeImage
}

/** A way to give each step a file system of its own: what the module of a member exports. */
export interface SnapshotKind {
  /** Why it does not work here, as far as that can be told before a step is tried. */
  open(place: SnapshotPlace): Promise<OpenedSnapshots | Refusal>
}

/** A line of the list. */
export interface SnapshotEntry {
  readonly name: string
  readonly summary: string
  load(): Promise<SnapshotKind>
}
