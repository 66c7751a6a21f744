import type { UsageRecord } from './types.ts'
import type { UsagePredicate } from './usage-filter.ts'

/** What is to go, in the words of BuildKit (`client.PruneInfo`): sizes in bytes, 0 for no bound. */
export interface PruneRule {
  /** Also what images share: the records go, the images' layers stay. */
  readonly all: boolean
  readonly fits: UsagePredicate
  /** What was used within this time stays. */
  readonly keepDurationMs: number
  /** So much always stays. */
  readonly reservedBytes: number
  /** So much may stay. */
  readonly maxUsedBytes: number
  /** So much of the disk is to be free. */
  readonly minFreeBytes: number
}

/** A record, and the records that it stands on: `below` are their ids, of all of them. */
export interface UsageNode extends UsageRecord {
  readonly below: readonly string[]
}

export interface DiskState {
  readonly nowMs: number
  readonly freeBytes: number
}

/** Of candidates that are many, so large a part is taken before they are ordered anew. */
const BATCH_PART = 32

/**
 * Which records go, in that order, by BuildKit's rules one after another: nothing that something else stands on, nothing in
 * use; without a bound all that fits, with one the least used first, until what stays is below it.
 */
export function choosePruned<Node extends UsageNode>(
  nodes: readonly Node[],
  rules: readonly PruneRule[],
  disk: DiskState,
): readonly Node[] {
  const below = withoutCircles(nodes)
  const usersOf = new Map<string, number>(nodes.map(({ id }) => [id, 0]))
  for (const ids of below.values()) for (const id of ids) usersOf.set(id, (usersOf.get(id) ?? 0) + 1)
  const byId = new Map(nodes.map((node) => [node.id, node]))
  /** On which nothing stands any more. */
  const leaves = new Set(nodes.filter(({ id }) => usersOf.get(id) === 0))
  const chosen: Node[] = []
  let usedBytes = nodes.reduce((sum, node) => sum + ownBytes(node), 0)
  let { freeBytes } = disk

  function take(node: Node): void {
    leaves.delete(node)
    chosen.push(node)
    for (const id of below.get(node.id) ?? []) {
      const users = (usersOf.get(id) ?? 0) - 1
      usersOf.set(id, users)
      const freed = users === 0 ? byId.get(id) : undefined
      if (freed !== undefined) leaves.add(freed)
    }
    usedBytes -= ownBytes(node)
    freeBytes += ownBytes(node)
  }

  for (const rule of rules) {
    const keepBytes = bytesToKeep(rule, usedBytes, freeBytes)
    for (;;) {
      if (keepBytes !== 0 && usedBytes < keepBytes) break
      const candidates = [...leaves].filter((node) => isCandidate(node, rule, disk.nowMs))
      if (candidates.length === 0) break
      const isBounded = keepBytes !== 0
      const batch = isBounded
        ? leastUsed(candidates).slice(0, 1 + Math.floor(candidates.length / BATCH_PART))
        : candidates
      for (const node of batch) {
        if (isBounded && usedBytes < keepBytes) break
        take(node)
      }
    }
  }
  return chosen
}

/**
 * What each record stands on. Layers of COPY --link have no order of their own: where one build has A over B and another one
 * B over A, each would keep the other for ever, so the edge that closes a circle does not count.
 */
function withoutCircles(nodes: readonly UsageNode[]): ReadonlyMap<string, readonly string[]> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const answer = new Map<string, readonly string[]>()
  const open = new Set<string>()
  const visit = (node: UsageNode): void => {
    open.add(node.id)
    const kept = node.below.filter((id) => {
      const next = byId.get(id)
      if (next === undefined || open.has(id)) return false
      if (!answer.has(id)) visit(next)
      return true
    })
    open.delete(node.id)
    answer.set(node.id, kept)
  }
  for (const node of nodes) if (!answer.has(node.id)) visit(node)
  return answer
}

/** What goes from the disk with a record: what an image shares stays there. */
function ownBytes({ isShared, sizeBytes }: UsageRecord): number {
  return isShared ? 0 : sizeBytes
}

/** 0: no bound. As BuildKit computes it (`cache/manager.go`, `calculateKeepBytes`). */
export function bytesToKeep(
  { maxUsedBytes, reservedBytes, minFreeBytes }: Pick<PruneRule, 'maxUsedBytes' | 'reservedBytes' | 'minFreeBytes'>,
  usedBytes: number,
  freeBytes: number,
): number {
  if (maxUsedBytes === 0 && reservedBytes === 0 && minFreeBytes === 0) return 0
  const excess = minFreeBytes - freeBytes
  if (excess > 0) {
    const fitting = usedBytes - excess
    return Math.max(maxUsedBytes === 0 ? fitting : Math.min(maxUsedBytes, fitting), reservedBytes)
  }
  const bound = minFreeBytes !== 0 && maxUsedBytes === 0 ? usedBytes : maxUsedBytes
  return Math.max(bound, reservedBytes)
}

function isCandidate(node: UsageNode, rule: PruneRule, nowMs: number): boolean {
  if (node.isInUse) return false
  if (!rule.all && (node.isShared || node.type === 'internal' || node.type === 'frontend')) return false
  const isRecent = rule.keepDurationMs !== 0 && node.usedMs !== undefined && node.usedMs > nowMs - rule.keepDurationMs
  return !isRecent && rule.fits(node)
}

/** By the sum of two ranks, that of the last use and that of the number of uses, each as a part of the highest (BuildKit's weights). */
function leastUsed<Node extends UsageNode>(nodes: readonly Node[]): readonly Node[] {
  const time = ranks(nodes, ({ usedMs }) => usedMs ?? -1)
  const count = ranks(nodes, ({ usageCount }) => usageCount)
  return nodes
    .map((node) => ({ node, weight: time(node) + count(node), usedMs: node.usedMs ?? 0 }))
    .sort((a, b) => a.weight - b.weight || a.usedMs - b.usedMs || (a.node.id < b.node.id ? -1 : 1))
    .map(({ node }) => node)
}

function ranks(nodes: readonly UsageNode[], valueOf: (node: UsageNode) => number): (node: UsageNode) => number {
  const values = [...new Set(nodes.map(valueOf))].sort((a, b) => a - b)
  const rankOf = new Map(values.map((value, index) => [value, (index + 1) / values.length]))
  return (node) => rankOf.get(valueOf(node)) ?? 0
}
