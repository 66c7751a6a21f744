import { goJson } from '../../oci/go-json.ts'
import { boundConfig } from './bound-config.ts'
import { encodeRecords, MAX_CONFIG_BYTES, type CacheConfig, type ConfigRecord } from './config.ts'

/** BuildKit reads no larger config of an image; the rest of it is what the image says of itself. */
const MAX_INLINE_BYTES: number = MAX_CONFIG_BYTES - (256 << 10)

/** What goes into the config of an image, and how many keys are not in it so that BuildKit reads that. */
export interface InlineRecords {
  /** Base64; undefined: nothing is known by anything. */
  readonly text: string | undefined
  readonly leftOut: number
}

/** @param config its layers are called by their place in the image, bottom first: `0`, `1`, … */
export function encodeInlineRecords(config: CacheConfig): InlineRecords {
  if (config.records.length === 0) return { text: undefined, leftOut: 0 }
  const bound = boundConfig(config, (part) => encode(part).length <= MAX_INLINE_BYTES)
  if (bound === undefined) return { text: undefined, leftOut: config.records.length }
  return { text: encode(bound.config), leftOut: bound.leftOut }
}

function encode({ layers, records }: CacheConfig): string {
  const placeOf = (index: number): number => Number(layers[index]!.blob)
  const placed = records.map((record): ConfigRecord => ({
    ...record,
    results: record.results.map((result) => ({ ...result, layers: result.layers.map(placeOf) })),
  }))
  return Buffer.from(goJson(encodeRecords(placed, true))).toString('base64')
}
