import { expect, test } from '@jest/globals'
import type { Digest } from '../../oci/digest.ts'
import type { CacheConfig, ConfigRecord } from '../buildkit/config.ts'
import { cacheDocuments, readCaches } from './manifest.ts'
import type { CacheLayerToWrite } from './types.ts'

/** Of BuildKit's readers (`readBlob` of its cache importer). */
const MIB = 1 << 20

function digest(number: number): Digest {
  return `sha256:${number.toString(16).padStart(64, '0')}` as Digest
}

/** Steps beside each other, each with a layer, the later the newer. */
function cacheOf(steps: number): { readonly config: CacheConfig; readonly layers: Map<Digest, CacheLayerToWrite> } {
  const numbers = Array.from({ length: steps }, (_, index) => index)
  const timeOf = (step: number): string => new Date(1_700_000_000_000 + step * 1000).toISOString()
  const records = numbers.map((step): ConfigRecord => ({
    digest: digest(step),
    inputs: [],
    results: [{ layers: [step], createdAt: timeOf(step) }],
  }))
  const layers = numbers.map((step): [Digest, CacheLayerToWrite] => {
    const annotations = { 'buildkit/createdat': timeOf(step), 'containerd.io/uncompressed': digest(step + 1e6) }
    const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip'
    const descriptor = { mediaType, digest: digest(step + 2e6), size: 1000, annotations }
    return [descriptor.digest, { descriptor, repositories: [], open: async function* () {} }]
  })
  return {
    config: { records, layers: layers.map(([blob]) => ({ blob, parent: -1 })) },
    layers: new Map(layers),
  }
}

test.each([
  { isImage: true, isOci: true },
  { isImage: false, isOci: false },
])('a cache of thousands of steps is written so that BuildKit finds it: %j', async (form) => {
  const { manifest, config, layers, leftOut } = cacheDocuments(cacheOf(6000), form)
  expect(manifest.bytes.length).toBeLessThanOrEqual(MIB)
  expect(config.bytes.length).toBeLessThanOrEqual(MIB)
  // No more is left out than has to be: a layer is some 350 bytes of the manifest.
  expect(manifest.bytes.length).toBeGreaterThan(MIB - 1000)
  expect(leftOut + layers.length).toBe(6000)
  const [read] = await readCaches(manifest.bytes, 'here', async () => config.bytes)
  expect(read!.records).toHaveLength(layers.length)
  expect(read!.layers.every((layer) => layer !== undefined)).toBe(true)
  // The newest of all, and none of the oldest.
  const kept = new Set(read!.records.map((record) => record.digest))
  expect(kept.has(digest(5999))).toBe(true)
  expect(kept.has(digest(0))).toBe(false)
})

test('what is small enough is written whole', () => {
  const { leftOut, layers } = cacheDocuments(cacheOf(2000), { isImage: true, isOci: true })
  expect({ leftOut, layers: layers.length }).toEqual({ leftOut: 0, layers: 2000 })
})
