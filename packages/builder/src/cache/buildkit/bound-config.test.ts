import { expect, test } from '@jest/globals'
import type { Digest } from '../../oci/digest.ts'
import { boundConfig } from './bound-config.ts'
import { decodeConfig, encodeConfig, type CacheConfig, type ConfigRecord } from './config.ts'

function digest(number: number): Digest {
  return `sha256:${String(number).padStart(64, '0')}` as Digest
}

/** `count` steps on one source; each tenth has a result, the later the newer. */
function wide(count: number): CacheConfig {
  const records: ConfigRecord[] = [{ digest: digest(0), inputs: [], results: [] }]
  const layers: CacheConfig['layers'][number][] = []
  for (let step = 1; step <= count; step++) {
    const results: ConfigRecord['results'][number][] = []
    if (step % 10 === 0) {
      layers.push({ blob: digest(step), parent: -1 })
      results.push({ layers: [layers.length - 1], createdAt: new Date(step * 1000).toISOString() })
    }
    records.push({ digest: digest(step), inputs: [[{ selector: '', record: 0 }]], results })
  }
  return { layers, records }
}

const fits =
  (bytes: number) =>
  (config: CacheConfig): boolean =>
    encodeConfig(config).length <= bytes

test('what is small enough stays as it is', () => {
  const config = wide(100)
  expect(boundConfig(config, fits(1 << 20))).toEqual({ config, leftOut: 0 })
})

test('of thousands of records the newest results are kept, with what they depend on, below the bound', () => {
  const all = wide(9000)
  expect(encodeConfig(all).length).toBeGreaterThan(1 << 20)
  const { config, leftOut } = boundConfig(all, fits(200_000))!
  expect(encodeConfig(config).length).toBeLessThanOrEqual(200_000)
  // Another record would be too much: no more is left out than has to be.
  expect(encodeConfig(config).length).toBeGreaterThan(200_000 - 600)
  expect(config.records.length + leftOut).toBe(9001)
  expect(config.records[0]!.digest).toBe(digest(0))
  const kept = config.records.filter(({ results }) => results.length > 0).map((record) => record.digest)
  const newest = Array.from({ length: kept.length }, (_, index) => digest(9000 - index * 10))
  expect(new Set(kept)).toEqual(new Set(newest))
  // It is a cache: every link and layer is there.
  expect(decodeConfig(encodeConfig(config)).records).toHaveLength(config.records.length)
})

test('keys that lead to no result go before any result', () => {
  const all = wide(1000)
  const { config } = boundConfig(all, fits(encodeConfig(all).length - 500))!
  expect(config.records.filter(({ results }) => results.length > 0)).toHaveLength(100)
  expect(config.layers).toHaveLength(100)
})

test('of a chain of thousands of steps the beginning is kept', () => {
  const records = Array.from({ length: 20_000 }, (_, step): ConfigRecord => ({
    digest: digest(step),
    inputs: step === 0 ? [] : [[{ selector: '', record: step - 1 }]],
    results: [{ layers: [step], createdAt: '2026-01-01T00:00:00Z' }],
  }))
  const layers = records.map((_, step) => ({ blob: digest(step), parent: step - 1 }))
  // No result names all its layers one by one here: that is the decoder's form.
  const { config } = boundConfig({ layers, records: records.map((one) => ({ ...one, results: [] })) }, fits(1 << 20))!
  expect(config.records.map((one) => one.digest)).toEqual(config.records.map((_, step) => digest(step)))
  expect(config.records.length).toBeGreaterThan(5000)
})

test('where not even one record fits there is nothing', () => {
  expect(boundConfig(wide(10), () => false)).toBeUndefined()
})
