import { expect, test } from '@jest/globals'
import type { Digest } from '../../oci/digest.ts'
import { decodeRecords, type CacheConfig, type ConfigRecord } from './config.ts'
import { encodeInlineRecords } from './inline-records.ts'

function digest(number: number): Digest {
  return `sha256:${String(number).padStart(64, '0')}` as Digest
}

/** Two layers, the second one the result of the last record. */
function cacheOf(count: number): CacheConfig {
  const records = Array.from({ length: count }, (_, step): ConfigRecord => ({
    digest: digest(step),
    inputs: step === 0 ? [] : [[{ selector: '', record: 0 }]],
    results: step === count - 1 ? [{ layers: [0, 1], createdAt: '2026-01-01T00:00:00Z' }] : [],
  }))
  return { records, layers: ['0', '1'].map((place, index) => ({ blob: place as Digest, parent: index - 1 })) }
}

test('the records of an image are read as they were written', () => {
  const { text, leftOut } = encodeInlineRecords(cacheOf(100))
  const records = decodeRecords(Buffer.from(text!, 'base64').toString('utf8'), 2)
  expect(leftOut).toBe(0)
  expect(records).toHaveLength(100)
  expect(records.at(-1)!.results).toEqual([{ layers: [0, 1], createdAt: '2026-01-01T00:00:00Z' }])
})

test('of thousands of records so many stay that the config of the image is found, those with results first', () => {
  const { text, leftOut } = encodeInlineRecords(cacheOf(20_000))
  expect(text!.length).toBeLessThan(1 << 20)
  const records = decodeRecords(Buffer.from(text!, 'base64').toString('utf8'), 2)
  expect(records.length + leftOut).toBe(20_000)
  expect(records.some((record) => record.digest === digest(19_999) && record.results.length === 1)).toBe(true)
})

test('what is known by nothing is not written', () => {
  expect(encodeInlineRecords({ layers: [], records: [] })).toEqual({ text: undefined, leftOut: 0 })
})
