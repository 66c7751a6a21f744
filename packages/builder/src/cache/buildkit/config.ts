/** BuildKit's cache config: which keys are known, how they hang together, and which layers each result has. */
import { BuilderError } from '../../base/errors.ts'
import { compareBytes } from '../../base/text.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'
import { goJson } from '../../oci/go-json.ts'

/** BuildKit's media type of it. */
export const CACHE_CONFIG = 'application/vnd.buildkit.cacheconfig.v0'

/** BuildKit reads no larger config or manifest: what is larger is a cache that it does not find. */
export const MAX_CONFIG_BYTES: number = 1 << 20

export interface CacheConfig {
  readonly layers: readonly ConfigLayer[]
  readonly records: readonly ConfigRecord[]
}

export interface ConfigLayer {
  readonly blob: Digest
  /** Index of the layer below; −1: none. */
  readonly parent: number
  /** Of caches that have no manifest beside the config. */
  readonly annotations?: LayerAnnotations
}

export interface LayerAnnotations {
  readonly mediaType: string
  readonly diffId: Digest
  readonly size: number
  /** RFC 3339. */
  readonly createdAt?: string
}

export interface ConfigRecord {
  readonly digest: Digest
  /** For each input any of these keys; none: a source, or content that was read. */
  readonly inputs: readonly (readonly ConfigLink[])[]
  /** Newest first. */
  readonly results: readonly ConfigResult[]
}

export interface ConfigLink {
  readonly selector: string
  /** Index of a record. */
  readonly record: number
}

export interface ConfigResult {
  /** Indices of layers, bottom first. */
  readonly layers: readonly number[]
  readonly createdAt: string
}

/** Go's zero time: what a record has that nobody gave a time. */
export const NO_TIME = '0001-01-01T00:00:00Z'

/** @throws OCI_CACHE_INVALID for what is none, says of itself that it has loops, or names what it does not have */
export function decodeConfig(text: string): CacheConfig {
  const json = objectOf(parseJson(text), 'a cache config')
  const layers = listOf(json, 'layers').map(readLayer)
  checkParents(layers)
  const count = listOf(json, 'records').length
  const records = listOf(json, 'records').map((record) => readRecord(record, layers, count))
  checkLoops(records)
  return { layers, records }
}

/** An inline cache: records alone, whose layers are those of the image (of which there are `layerCount`). */
export function decodeRecords(text: string, layerCount: number): readonly ConfigRecord[] {
  const json = parseJson(text)
  if (!Array.isArray(json)) throw invalid('no list of records')
  const layers = Array.from({ length: layerCount }, (_, index) => ({ blob: '' as Digest, parent: index - 1 }))
  const records = json.map((record) => readRecord(record, layers, json.length))
  checkLoops(records)
  return records
}

function readLayer(value: unknown): ConfigLayer {
  const layer = objectOf(value, 'a layer')
  const blob = layer['blob']
  if (typeof blob !== 'string' || !isDigest(blob)) throw invalid(`a layer with the digest ${JSON.stringify(blob)}`)
  const annotations = layer['annotations'] === undefined ? undefined : readAnnotations(layer['annotations'])
  return { blob, parent: indexOf(layer['parent'], 0), ...(annotations && { annotations }) }
}

function readAnnotations(value: unknown): LayerAnnotations | undefined {
  const { mediaType, diffID, size, createdAt } = objectOf(value, 'annotations')
  if (typeof mediaType !== 'string' || typeof diffID !== 'string' || typeof size !== 'number') return undefined
  if (!isDigest(diffID) || !Number.isSafeInteger(size) || size < 0) return undefined
  return { mediaType, diffId: diffID, size, ...(typeof createdAt === 'string' ? { createdAt } : {}) }
}

function readRecord(value: unknown, layers: readonly ConfigLayer[], count: number): ConfigRecord {
  const record = objectOf(value, 'a record')
  const { digest } = record
  if (typeof digest !== 'string' || !isDigest(digest)) throw invalid(`a record with the key ${JSON.stringify(digest)}`)
  const inputs = listOf(record, 'inputs').map((links) => {
    if (!Array.isArray(links) || links.length === 0) throw invalid(`an input of ${digest} without a key`)
    return links.map((link) => readLink(link, count))
  })
  const results = [
    ...listOf(record, 'layers').map((result) => readResult(result, (top) => chainOf(layers, top))),
    ...listOf(record, 'chains').map((result) => readChain(result, layers.length)),
  ]
  return { digest, inputs, results: results.sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt)) }
}

function readLink(value: unknown, count: number): ConfigLink {
  const { selector = '', link } = objectOf(value, 'a link')
  const record = indexOf(link, 0)
  if (typeof selector !== 'string' || record < 0 || record >= count) throw invalid(`a link to record ${record}`)
  return { selector, record }
}

function readResult(value: unknown, chain: (top: number) => readonly number[]): ConfigResult {
  const result = objectOf(value, 'a result')
  return { layers: chain(indexOf(result['layer'], 0)), createdAt: timeOf(result) }
}

function readChain(value: unknown, layerCount: number): ConfigResult {
  const result = objectOf(value, 'a result')
  const layers = listOf(result, 'layers').map((layer) => indexOf(layer, 0))
  if (layers.some((layer) => layer < 0 || layer >= layerCount)) throw invalid('a chain of layers that are not there')
  return { layers, createdAt: timeOf(result) }
}

/** Go reads the name in any case. */
function timeOf(result: Readonly<Record<string, unknown>>): string {
  const name = Object.keys(result).find((key) => key.toLowerCase() === 'createdat')
  const time = name === undefined ? undefined : result[name]
  return typeof time === 'string' && !Number.isNaN(Date.parse(time)) ? time : NO_TIME
}

function chainOf(layers: readonly ConfigLayer[], top: number): readonly number[] {
  const chain: number[] = []
  for (let at = top; at !== -1; at = layers[at]!.parent) {
    if (at < 0 || at >= layers.length) throw invalid(`layer ${at} is not there`)
    chain.push(at)
  }
  return chain.reverse()
}

function checkParents(layers: readonly ConfigLayer[]): void {
  const state = new Uint8Array(layers.length)
  for (let start = 0; start < layers.length; start++) {
    const path: number[] = []
    for (let at = start; at !== -1 && state[at] !== 2; at = layers[at]!.parent) {
      if (at < -1 || at >= layers.length) throw invalid(`layer ${at} is not there`)
      if (state[at] === 1) throw invalid('layers that lie on themselves')
      state[at] = 1
      path.push(at)
    }
    for (const at of path) state[at] = 2
  }
}

/** With a stack of its own: a cache is as deep as a build is long. */
function checkLoops(records: readonly ConfigRecord[]): void {
  const state = new Uint8Array(records.length)
  const linksOf = (at: number): readonly number[] => records[at]!.inputs.flat().map(({ record }) => record)
  for (let start = 0; start < records.length; start++) {
    if (state[start] !== 0) continue
    state[start] = 1
    const path = [{ at: start, links: linksOf(start), next: 0 }]
    while (path.length > 0) {
      const top = path.at(-1)!
      const next = top.links[top.next++]
      if (next === undefined) {
        state[top.at] = 2
        path.pop()
      } else if (state[next] === 1) throw invalid('records that need themselves')
      else if (state[next] === 0) {
        state[next] = 1
        path.push({ at: next, links: linksOf(next), next: 0 })
      }
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalid('no JSON', cause)
  }
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw invalid(`${what} that is none`)
}

function listOf(object: Readonly<Record<string, unknown>>, name: string): readonly unknown[] {
  const list = object[name] ?? []
  if (!Array.isArray(list)) throw invalid(`"${name}" is no list`)
  return list as readonly unknown[]
}

function indexOf(value: unknown, absent: number): number {
  const index = value ?? absent
  if (typeof index === 'number' && Number.isSafeInteger(index)) return index
  throw invalid(`${JSON.stringify(value)} is no index`)
}

function invalid(what: string, cause?: unknown): BuilderError {
  return new BuilderError('OCI_CACHE_INVALID', `this is no cache of BuildKit's format: ${what}`, {
    hint: 'write it anew with --cache-to',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** The bytes that BuildKit writes for the same cache: sorted, so that one cache has one digest. */
export function encodeConfig(config: CacheConfig): string {
  const sorted = sortConfig(config)
  return goJson({
    layers: sorted.layers.map(({ blob, parent, annotations }) => ({
      blob,
      parent: parent === 0 ? undefined : parent,
      annotations: annotations && {
        mediaType: annotations.mediaType,
        diffID: annotations.diffId,
        size: annotations.size,
        createdAt: annotations.createdAt ?? NO_TIME,
      },
    })),
    records: encodeRecords(sorted.records),
  })
}

/** The records alone, for an image's own config. Results whose layers are no beginning of the image are chains. */
export function encodeRecords(records: readonly ConfigRecord[], isInline = false): readonly unknown[] {
  return records.map(({ digest, inputs, results }) => {
    const isPrefix = (layers: readonly number[]): boolean => layers.every((layer, index) => layer === index)
    const chains = isInline ? results.filter(({ layers }) => !isPrefix(layers)) : []
    const plain = results.filter((result) => !chains.includes(result))
    return {
      layers: nonEmpty(plain.map(({ layers, createdAt }) => ({ layer: layers.at(-1), createdAt }))),
      chains: nonEmpty(chains.map(({ layers, createdAt }) => ({ layers, createdAt }))),
      digest,
      inputs: nonEmpty(
        inputs.map((links) =>
          links.map(({ selector, record }) => ({ selector: selector === '' ? undefined : selector, link: record })),
        ),
      ),
    }
  })
}

function nonEmpty<Item>(list: readonly Item[]): readonly Item[] | undefined {
  return list.length === 0 ? undefined : list
}

function sortConfig({ layers, records }: CacheConfig): CacheConfig {
  const layerOrder = order(layers, (a, b) => compareBytes(a.blob, b.blob) || a.parent - b.parent)
  const recordOrder = order(records, (a, b) => compareRecords(records, a, b))
  return {
    layers: layerOrder.sorted.map((layer) => ({
      ...layer,
      parent: layer.parent === -1 ? -1 : layerOrder.newIndex[layer.parent]!,
    })),
    records: recordOrder.sorted.map((record) => ({
      ...record,
      results: record.results.map((result) => ({
        ...result,
        layers: result.layers.map((layer) => layerOrder.newIndex[layer]!),
      })),
      inputs: record.inputs.map((links) =>
        links
          .map((link) => ({ ...link, record: recordOrder.newIndex[link.record]! }))
          .sort((a, b) => a.record - b.record || compareBytes(a.selector, b.selector)),
      ),
    })),
  }
}

function order<Item>(
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
): { readonly sorted: readonly Item[]; readonly newIndex: readonly number[] } {
  const indices = items.map((_, index) => index).sort((a, b) => compare(items[a]!, items[b]!) || a - b)
  const newIndex: number[] = []
  indices.forEach((old, index) => (newIndex[old] = index))
  return { sorted: indices.map((index) => items[index]!), newIndex }
}

function compareRecords(all: readonly ConfigRecord[], a: ConfigRecord, b: ConfigRecord): number {
  const first = compareBytes(a.digest, b.digest) || a.inputs.length - b.inputs.length
  if (first !== 0) return first
  for (const [index, links] of a.inputs.entries()) {
    const others = b.inputs[index]!
    if (links.length !== others.length) return links.length - others.length
    for (const [at, link] of links.entries()) {
      const other = others[at]!
      const difference =
        compareBytes(link.selector, other.selector) || compareBytes(all[link.record]!.digest, all[other.record]!.digest)
      if (difference !== 0) return difference
    }
  }
  return 0
}
