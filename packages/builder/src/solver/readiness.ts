import type { Edge, Vertex } from '../graph/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { OpDriver } from './types.ts'

/** Asks, before a vertex runs that the cache did not have, whether what then has to run as well can run at all. */
export interface Readiness {
  /** Takes the vertices of one more target into account. */
  add(vertices: readonly Vertex[]): void
  /** The vertex that has to run when `vertex` does and that says whether it can: itself, or the nearest that stands on it. */
  nearest(vertex: Vertex): Vertex | undefined
}

/**
 * A vertex that takes the layers of another through, or stands on them as its root, is keyed by that one's key: what is new
 * below is new above. Other inputs are keyed by content, which may be what it was.
 */
export function createReadiness(driverOf: (vertex: Vertex) => OpDriver): Readiness {
  const standing = new Map<Digest, Vertex[]>()
  const seen = new Set<Digest>()
  return {
    add: (vertices) => {
      for (const vertex of vertices) {
        if (seen.has(vertex.digest)) continue
        seen.add(vertex.digest)
        for (const { vertex: below } of inputsBelow(vertex, driverOf(vertex))) {
          const above = standing.get(below.digest)
          if (above === undefined) standing.set(below.digest, [vertex])
          else above.push(vertex)
        }
      }
    },
    nearest: (vertex) => {
      const queue = [vertex]
      const queued = new Set([vertex.digest])
      for (const candidate of queue) {
        if (driverOf(candidate).ready !== undefined) return candidate
        for (const above of standing.get(candidate.digest) ?? []) {
          if (!queued.has(above.digest)) queue.push(above)
          queued.add(above.digest)
        }
      }
      return undefined
    },
  }
}

function inputsBelow(vertex: Vertex, driver: OpDriver): readonly Edge[] {
  const uses = driver.inputUse(vertex)
  return vertex.inputs.filter((_, index) => uses[index] === 'through' || (uses[index] === 'tree' && index === 0))
}
