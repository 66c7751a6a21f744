/** A cache as it is written: keys are added with what they depend on, and what is one key is one record. */
import type { Digest } from '../../oci/digest.ts'
import type { CacheConfig, ConfigLayer, ConfigRecord, ConfigResult, LayerAnnotations } from './config.ts'

/** A layer as a cache names it. */
export interface ChainLayer {
  readonly blob: Digest
  readonly annotations?: LayerAnnotations
}

export interface ChainResult {
  /** Bottom first. */
  readonly layers: readonly ChainLayer[]
  /** RFC 3339. */
  readonly createdAt: string
}

export interface ChainLink {
  readonly record: number
  readonly selector: string
}

export interface CacheChains {
  /**
   * Adds a key, or finds it: the same digest whose every input has a key in common is the same record.
   * @returns its number
   */
  add(digest: Digest, inputs: readonly (readonly ChainLink[])[], result?: ChainResult): number
  config(): CacheConfig
}

interface Record {
  readonly digest: Digest
  readonly inputs: Map<string, ChainLink>[]
  result: ChainResult | undefined
}

export function createChains(): CacheChains {
  const records: Record[] = []
  const byDigest = new Map<Digest, number[]>()

  const isSame = (record: Record, inputs: readonly (readonly ChainLink[])[]): boolean =>
    record.inputs.length === inputs.length &&
    inputs.every((links, at) => links.some((link) => record.inputs[at]!.has(nameOf(link))))

  function add(digest: Digest, inputs: readonly (readonly ChainLink[])[], result?: ChainResult): number {
    const candidates = byDigest.get(digest) ?? []
    let number = candidates.find((candidate) => isSame(records[candidate]!, inputs))
    if (number === undefined) {
      number = records.length
      records.push({ digest, inputs: inputs.map(() => new Map()), result: undefined })
      byDigest.set(digest, [...candidates, number])
    }
    const record = records[number]!
    inputs.forEach((links, at) => {
      for (const link of links) record.inputs[at]!.set(nameOf(link), link)
    })
    if (result !== undefined && (record.result === undefined || isNewer(result, record.result))) record.result = result
    return number
  }
  return { add, config: () => configOf(records) }
}

function nameOf({ record, selector }: ChainLink): string {
  return `${record} ${selector}`
}

function isNewer(a: ChainResult, b: ChainResult): boolean {
  return Date.parse(a.createdAt) > Date.parse(b.createdAt)
}

function configOf(all: readonly Record[]): CacheConfig {
  const layers: ConfigLayer[] = []
  const known = new Map<string, number>()
  const layerOf = (layer: ChainLayer, parent: number): number => {
    const name = `${layer.blob} ${parent}`
    let index = known.get(name)
    if (index === undefined) {
      index = layers.length
      layers.push({ blob: layer.blob, parent, ...(layer.annotations && { annotations: layer.annotations }) })
      known.set(name, index)
    }
    return index
  }
  const resultOf = ({ layers: chain, createdAt }: ChainResult): ConfigResult => {
    const indices: number[] = []
    for (const layer of chain) indices.push(layerOf(layer, indices.at(-1) ?? -1))
    return { layers: indices, createdAt }
  }
  const records = all.map(({ digest, inputs, result }): ConfigRecord => ({
    digest,
    inputs: inputs.map((links) => [...links.values()]),
    results: result === undefined || result.layers.length === 0 ? [] : [resultOf(result)],
  }))
  return { layers, records }
}
