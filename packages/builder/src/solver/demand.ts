import type { Edge, Vertex } from '../graph/types.ts'
import type { Demand, OpDriver } from './types.ts'
import type { Digest } from '../oci/digest.ts'

/**
 * Which forms of each vertex' layers somebody will need, known before work begins so that each is made directly:
 * a layer of the target goes into a tar, one that a step reads into a tree.
 */
export function computeDemand(
  target: Edge,
  driverOf: (vertex: Vertex) => OpDriver,
  targetNeeds: Demand,
): ReadonlyMap<Digest, Demand> {
  const demands = new Map<Digest, Demand>()
  const visited = new Set<string>()
  const visit = (vertex: Vertex, need: Demand): void => {
    const known = demands.get(vertex.digest) ?? { tree: false, tar: false }
    demands.set(vertex.digest, { tree: known.tree || need.tree, tar: known.tar || need.tar })
    // A vertex is walked at most once for each combination, or diamonds would be exponential.
    const visit_ = `${vertex.digest}${need.tree}${need.tar}`
    if (visited.has(visit_)) return
    visited.add(visit_)
    const uses = driverOf(vertex).inputUse(vertex)
    vertex.inputs.forEach((edge, index) => {
      const use = uses[index] ?? 'view'
      visit(edge.vertex, use === 'through' ? need : { tree: use === 'tree', tar: false })
    })
    // A step's root is both mounted and part of what comes out.
    if (uses[0] === 'tree' && vertex.inputs[0]) visit(vertex.inputs[0].vertex, { tree: true, tar: need.tar })
  }
  visit(target.vertex, targetNeeds)
  return demands
}

/** Every vertex that the target reaches, inputs before users. */
export function reachableVertices(target: Edge): readonly Vertex[] {
  const order: Vertex[] = []
  const seen = new Set<Digest>()
  const stack: { vertex: Vertex; next: number }[] = [{ vertex: target.vertex, next: 0 }]
  seen.add(target.vertex.digest)
  while (stack.length > 0) {
    const top = stack[stack.length - 1]!
    const input = top.vertex.inputs[top.next++]
    if (input === undefined) {
      order.push(top.vertex)
      stack.pop()
    } else if (!seen.has(input.vertex.digest)) {
      seen.add(input.vertex.digest)
      stack.push({ vertex: input.vertex, next: 0 })
    }
  }
  return order
}
