/**
 * Vertices that wait for the end of lowering.
 *
 * Which paths of a context are read is known only when every instruction has been looked at, and it is part of the
 * digest of the context's vertex, thus of everything behind it. So instructions leave outputs that are made later, in
 * the order in which they were added: no recursion, however long the file.
 */
import type { Edge, Vertex, VertexMetadata } from '../../../graph/types.ts'
import { createVertex } from '../../../graph/vertex.ts'
import type { Platform } from '../../../oci/types.ts'
import type { OpSpec } from '../../../graph/op-specs.ts'

/** A file system that a vertex will give; `edge` is set by {@link PendingGraph.finish}. Undefined in its place: scratch. */
export interface Output {
  edge: Edge | undefined
}

export interface PendingGraph {
  add(make: () => Edge | undefined): Output
  /** Makes all vertices. */
  finish(): void
}

export function createPendingGraph(): PendingGraph {
  const pending: { readonly output: Output; readonly make: () => Edge | undefined }[] = []
  return {
    add(make) {
      const output: Output = { edge: undefined }
      pending.push({ output, make })
      return output
    },
    finish() {
      for (const { output, make } of pending) output.edge = make()
    },
  }
}

/** Collects the inputs of a vertex: each edge once, in the order of its first use. */
export interface InputList {
  readonly edges: readonly Edge[]
  /** Index of the output among the inputs; −1 for scratch. */
  add(output: Output | undefined): number
}

export function createInputList(): InputList {
  const edges: Edge[] = []
  return {
    edges,
    add(output) {
      const edge = output?.edge
      if (edge === undefined) return -1
      const known = edges.findIndex(
        (other) => other.output === edge.output && other.vertex.digest === edge.vertex.digest,
      )
      return known === -1 ? edges.push(edge) - 1 : known
    },
  }
}

/** The first output of a new vertex. */
export function edgeOf(
  op: OpSpec,
  inputs: readonly Edge[],
  platform: Platform | undefined,
  metadata: VertexMetadata,
): Edge {
  const vertex: Vertex = createVertex(op, inputs, { platform, metadata })
  return { vertex, output: 0 }
}
