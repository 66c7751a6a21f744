import type { CacheConfig, ConfigRecord } from './config.ts'

/** A cache that is small enough to be found. */
export interface BoundConfig {
  readonly config: CacheConfig
  /** Records that are not in it. */
  readonly leftOut: number
}

/**
 * Leaves the oldest out of a cache until `fits` says yes: of what is kept everything that it depends on is kept, so that it is
 * found. Keys without a result that lead to none go first. @returns undefined where not even one record fits
 */
export function boundConfig(config: CacheConfig, fits: (config: CacheConfig) => boolean): BoundConfig | undefined {
  if (fits(config)) return { config, leftOut: 0 }
  const order = newestFirst(config.records)
  let kept = 0
  let best: CacheConfig | undefined
  let tooMany = order.length
  while (tooMany - kept > 1) {
    const count = (kept + tooMany) >> 1
    const part = select(config, order.slice(0, count))
    if (fits(part)) [kept, best] = [count, part]
    else tooMany = count
  }
  return best && { config: best, leftOut: order.length - kept }
}

/** By the newest result that a record has or leads to; what others depend on before them. */
function newestFirst(records: readonly ConfigRecord[]): readonly number[] {
  const depths = bottomUp(records)
  const newest = records.map(({ results }) => Math.max(-Infinity, ...results.map((one) => Date.parse(one.createdAt))))
  for (const record of depths.toReversed())
    for (const { record: below } of records[record]!.inputs.flat())
      newest[below] = Math.max(newest[below]!, newest[record]!)
  const place = new Map(depths.map((record, index) => [record, index]))
  // Two −Infinity have no difference.
  return depths.toSorted((a, b) =>
    newest[a] === newest[b] ? place.get(a)! - place.get(b)! : newest[b]! > newest[a]! ? 1 : -1,
  )
}

/** Each after all that it depends on. With a stack of its own: a cache is as deep as a build is long. */
function bottomUp(records: readonly ConfigRecord[]): readonly number[] {
  const ordered: number[] = []
  const seen = new Uint8Array(records.length)
  for (let start = 0; start < records.length; start++) {
    const stack = [start]
    while (stack.length > 0) {
      const at = stack.at(-1)!
      if (seen[at] === 0) {
        seen[at] = 1
        for (const { record } of records[at]!.inputs.flat()) if (seen[record] === 0) stack.push(record)
      } else {
        stack.pop()
        if (seen[at] === 1) ordered.push(at)
        seen[at] = 2
      }
    }
  }
  return ordered
}

/** These records, and the layers that their results have. */
function select({ layers, records }: CacheConfig, chosen: readonly number[]): CacheConfig {
  const newRecord = new Map(chosen.map((record, index) => [record, index]))
  const used = [...new Set(chosen.flatMap((record) => records[record]!.results.flatMap((result) => result.layers)))]
  const sorted = used.toSorted((a, b) => a - b)
  const newLayer = new Map(sorted.map((layer, index) => [layer, index]))
  return {
    layers: sorted.map((index) => {
      const layer = layers[index]!
      return { ...layer, parent: layer.parent === -1 ? -1 : newLayer.get(layer.parent)! }
    }),
    records: chosen.map((index) => {
      const { digest, inputs, results } = records[index]!
      return {
        digest,
        inputs: inputs.map((links) => links.map((link) => ({ ...link, record: newRecord.get(link.record)! }))),
        results: results.map((result) => ({
          ...result,
          layers: result.layers.map((layer) => newLayer.get(layer)!),
        })),
      }
    }),
  }
}
