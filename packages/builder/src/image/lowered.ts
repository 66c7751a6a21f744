import type { BuildWarning } from '../base/progress.ts'
import type { Edge } from '../graph/types.ts'
import type { ContainerConfig, HistoryEntry, ImageConfig, ImageLayer, Platform } from '../oci/types.ts'

/**
 * What a frontend hands over and an exporter takes: a whole image for one platform, before its layers are known. Neither
 * of the two knows the other.
 */
export interface LoweredImage {
  /** The final state; undefined when the image is empty (`FROM scratch` and nothing else). */
  readonly edge: Edge | undefined
  readonly platform: Platform
  /** Everything of the image config but `rootfs` and `created`. Base history first, `created` unset in the new entries. */
  readonly config: Omit<ImageConfig, 'rootfs' | 'created' | 'history' | 'config'> & { readonly config: ContainerConfig }
  readonly history: readonly HistoryEntry[]
  /** How many entries of `history` came with the base. */
  readonly baseHistoryLength: number
  /** The image that it builds on, over any number of stages; undefined without one. */
  readonly base?: BaseImage
  /** One layer in place of the new ones, or of all: the last entry of `history` is about it. */
  readonly squash?: 'new' | 'all'
  /** The image has an empty history, whatever this one says. */
  readonly omitsHistory?: boolean
  readonly warnings: readonly BuildWarning[]
  /** Paths of the context that anything reachable reads, relative and sorted, `['.']` for all of it; undefined: nothing reads it. */
  readonly contextPaths?: readonly string[]
  /** SOURCE_DATE_EPOCH in seconds, where the build has one. */
  readonly sourceDateEpoch?: number
}

/** The layers of an image as it has them: outputs leave them as they are (unless compression is forced). */
export interface BaseImage {
  /** Where a registry has it: `name:tag@sha256:…`. */
  readonly reference?: string
  /** Bottom first. */
  readonly layers: readonly ImageLayer[]
}
