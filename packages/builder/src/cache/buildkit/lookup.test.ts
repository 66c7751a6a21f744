import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { digestOf, type Digest } from '../../oci/digest.ts'
import { createChains, type ChainLink } from './chains.ts'
import { decodeConfig, encodeConfig } from './config.ts'
import { createRecordLookup } from './lookup.ts'
import { contentKey, outputKey } from './op-key.ts'
import type { SharedKey } from './types.ts'

/** A vertex of a drawn graph; it stands on earlier ones. */
interface DrawnVertex {
  readonly inputs: readonly { readonly at: number; readonly isRead: boolean; readonly selector: string }[]
  /** Of who reads the cache: another op, and other content of what it makes. */
  readonly isChanged: boolean
  readonly isOtherContent: boolean
}

const graphs = fc
  .array(
    fc.record({
      inputs: fc.uniqueArray(
        fc.record({ at: fc.nat(1000), isRead: fc.boolean(), selector: fc.constantFrom('', 'a', 'b') }),
        { maxLength: 3, selector: ({ at }) => at },
      ),
      isChanged: fc.boolean(),
      isOtherContent: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((vertices) =>
    vertices.map((vertex, index): DrawnVertex => ({
      ...vertex,
      inputs: index === 0 ? [] : vertex.inputs.map((input) => ({ ...input, at: input.at % index })),
    })),
  )

const opOf = (index: number, isChanged: boolean): Digest => digestOf(`op ${index} ${isChanged}`)
const contentOf = (index: number, isOther: boolean): Digest => digestOf(`content ${index} ${isOther}`)

/** What a build that changed nothing writes of it. */
function write(vertices: readonly DrawnVertex[]): string {
  const chains = createChains()
  const records: number[] = []
  for (const [index, { inputs }] of vertices.entries()) {
    const links = inputs.map(({ at, isRead, selector }): ChainLink[] => [
      { record: records[at]!, selector },
      ...(isRead ? [{ record: chains.add(contentKey(contentOf(at, false)), []), selector: '' }] : []),
    ])
    const layers = [{ blob: digestOf(`layer ${index}`) }]
    records.push(chains.add(outputKey(opOf(index, false), 0), links, { layers, createdAt: '2026-01-01T00:00:00Z' }))
  }
  return encodeConfig(chains.config())
}

/** The same graph as a later build has it. */
function keysOf(vertices: readonly DrawnVertex[]): readonly SharedKey[] {
  const keys: SharedKey[] = []
  for (const [index, { inputs, isChanged }] of vertices.entries())
    keys.push({
      rules: async () => ({
        digests: [opOf(index, isChanged)],
        inputs: inputs.map(({ isRead, selector }) => ({ selector, contents: isRead ? [] : undefined })),
      }),
      inputs: inputs.map(({ at }) => ({
        key: keys[at]!,
        output: 0,
        contents: async () => [contentOf(at, vertices[at]!.isOtherContent)],
      })),
    })
  return keys
}

/** BuildKit's rule: the op is the same, and each input is, by its key or by what is read of it. */
function expectedHits(vertices: readonly DrawnVertex[]): readonly boolean[] {
  const hits: boolean[] = []
  for (const { inputs, isChanged } of vertices)
    hits.push(
      !isChanged && inputs.every(({ at, isRead }) => hits[at] === true || (isRead && !vertices[at]!.isOtherContent)),
    )
  return hits
}

/** The config as another writer may order it. */
function permuted(text: string, seeds: readonly number[]): string {
  const { layers, records } = JSON.parse(text) as {
    layers: unknown[]
    records: { inputs?: { link?: number }[][] }[]
  }
  const order = records.map((_, index) => index).sort((a, b) => seedOf(seeds, a) - seedOf(seeds, b) || a - b)
  const moved = order.map((index) => records[index]!)
  for (const { inputs = [] } of moved) for (const link of inputs.flat()) link.link = order.indexOf(link.link ?? 0)
  return JSON.stringify({ layers, records: moved })
}

function seedOf(seeds: readonly number[], index: number): number {
  return seeds[index % seeds.length]!
}

describe('a cache that was written', () => {
  test('is found by what is the same, in whatever order its records come, and by nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(graphs, fc.array(fc.nat(), { minLength: 1, maxLength: 40 }), async (vertices, seeds) => {
        const text = write(vertices)
        const keys = keysOf(vertices)
        for (const config of [text, permuted(text, seeds)].map(decodeConfig)) {
          const lookup = createRecordLookup(config.records)
          const found = await Promise.all(keys.map((key) => lookup.find(key, 0)))
          expect(found.map(({ size }) => size > 0)).toEqual(expectedHits(vertices))
          for (const [index, records] of found.entries())
            for (const record of records) {
              const blobs = config.records[record]!.results[0]!.layers.map((layer) => config.layers[layer]!.blob)
              expect(blobs).toEqual([digestOf(`layer ${index}`)])
            }
        }
      }),
      { numRuns: 300 },
    )
  })

  test('tells of a vertex that is not in it which inputs are others', async () => {
    await fc.assert(
      fc.asyncProperty(graphs, async (vertices) => {
        const lookup = createRecordLookup(decodeConfig(write(vertices)).records)
        const hits = expectedHits(vertices)
        for (const [index, key] of keysOf(vertices).entries()) {
          if (hits[index] === true || vertices[index]!.inputs.length === 0) continue
          const { inputs, isChanged } = vertices[index]!
          const others = inputs.flatMap(({ at, isRead }, input) =>
            hits[at] === true || (isRead && !vertices[at]!.isOtherContent) ? [] : [input],
          )
          expect(await lookup.unmatched(key, 0)).toEqual(isChanged ? undefined : others)
        }
      }),
      { numRuns: 200 },
    )
  })
})
