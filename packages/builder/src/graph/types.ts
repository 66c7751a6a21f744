import type { ErrorLocation } from '../base/errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/types.ts'
import type { StepResources } from '@ts-oci/runtime/families'
import type { OpSpec } from './op-specs.ts'

/** A node of the build graph. Immutable; two vertices with one digest are one vertex. */
export interface Vertex {
  readonly op: OpSpec
  readonly inputs: readonly Edge[]
  readonly platform: Platform | undefined
  /** Definition digest: over `op`, `platform` and the inputs' digests. */
  readonly digest: Digest
  readonly metadata: VertexMetadata
}

/** One output of a vertex. */
export interface Edge {
  readonly vertex: Vertex
  readonly output: number
}

/** What cannot change a result: outside the digest. */
export interface VertexMetadata {
  /** `[build 2/5] RUN npm ci`. */
  readonly name: string
  /** The instruction as the file has it, for `com.docker.dockerfile.v1.command`-like descriptions. */
  readonly command?: string
  /** Where in which file. */
  readonly location?: ErrorLocation
  readonly ignoreCache?: boolean
  /** What a step may use of the machine. */
  readonly resources?: StepResources
  readonly progressGroup?: { readonly id: string; readonly name: string; readonly weak?: boolean }
  readonly description?: Readonly<Record<string, string>>
}
