import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import {
  describeWith,
  startRegistry,
  temporaryDirectory,
  type Registry,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { digestOf, type Digest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { Manifest } from '../oci/types.ts'
import { build } from './build.ts'

let work: TemporaryDirectory
let count = 0

beforeEach(async () => {
  work = await temporaryDirectory()
  mkdirSync(work.join('context'))
  writeFileSync(work.join('context/file'), 'content '.repeat(500))
  utimesSync(work.join('context/file'), 1_500_000_000, 1_500_000_000)
})
afterEach(async () => work[Symbol.asyncDispose]())

type Attributes = Readonly<Record<string, string>>

interface Written {
  /** Of the whole archive. */
  readonly digest: Digest
  readonly manifest: Manifest
}

/** Builds into an archive. Everything but the store is the same each time: the time is fixed. */
async function archive(store: string, dockerfile: string, attributes: Attributes = {}): Promise<Written> {
  const dest = work.join(`out-${count++}`)
  const outputs = [
    { type: 'oci', dest, ...attributes },
    { type: 'oci', dest: `${dest}.d`, tar: 'false', ...attributes },
  ] as const
  await build({ ...optionsOf(store, dockerfile), outputs })
  const read = (name: string): Buffer => readFileSync(`${dest}.d/${name}`)
  const index = JSON.parse(read('index.json').toString()) as { manifests: [{ digest: string }] }
  const { manifest } = parseManifest(read(`blobs/sha256/${index.manifests[0].digest.slice(7)}`))
  return { digest: digestOf(readFileSync(dest)), manifest }
}

function optionsOf(store: string, dockerfile: string) {
  const options = { context: work.join('context'), store: work.join(store), dockerfile }
  return { ...options, buildArgs: { SOURCE_DATE_EPOCH: '1000' } }
}

async function tagBase(store: string): Promise<void> {
  await build({ ...optionsOf(store, 'FROM scratch\nCOPY file /one\nCOPY file /two\n'), tags: ['base'] })
}

const ON_BASE = 'FROM base\nCOPY file /three\n'

const WAYS: readonly (readonly [string, Attributes])[] = [
  ['gzip', {}],
  ['gzip of level 9', { 'compression-level': '9' }],
  ['zstd', { compression: 'zstd' }],
  ['zstd that is forced', { compression: 'zstd', 'force-compression': 'true' }],
  ['estargz that is forced', { compression: 'estargz', 'force-compression': 'true' }],
  ['zstd:chunked', { compression: 'zstd:chunked' }],
  ['no compression', { compression: 'uncompressed' }],
  ['gzip with times rewritten', { 'rewrite-timestamp': 'true' }],
  ['zstd with times rewritten', { compression: 'zstd', 'rewrite-timestamp': 'true', 'force-compression': 'true' }],
]

describe('an image on a base that was built here', () => {
  test('is the same first, from the cache, and whatever else was made of its layers', async () => {
    const onFreshStores: Digest[] = []
    for (const [name, attributes] of WAYS) {
      await tagBase(name)
      onFreshStores.push((await archive(name, ON_BASE, attributes)).digest)
    }
    await tagBase('one')
    for (let round = 0; round < 2; round++) {
      const onOne: Digest[] = []
      for (const [, attributes] of WAYS) onOne.push((await archive('one', ON_BASE, attributes)).digest)
      expect(onOne).toEqual(onFreshStores)
    }
    // Two ways make the same of it: nothing of this base needs force.
    expect(new Set(onFreshStores).size).toBe(WAYS.length - 1)
  })

  test("keeps the times of the base's layers, and of a stage's on it none above the limit", async () => {
    const attributes = { compression: 'uncompressed', 'rewrite-timestamp': 'true' }
    await tagBase('one')
    const base = await archive('one', 'FROM base\n', { compression: 'uncompressed' })
    const image = await archive(
      'one',
      'FROM base AS stage\nCOPY file /three\nFROM stage\nCOPY file /four\n',
      attributes,
    )
    const as = await archive('one', ON_BASE, { compression: 'uncompressed' })
    const digests = (written: Written): string[] => written.manifest.layers.map(({ digest }) => digest)
    expect(digests(image).slice(0, 2)).toEqual(digests(base))
    expect(digests(image)[2]).not.toBe(digests(as)[2])
    expect(image.manifest.layers.map((layer) => layer.annotations?.['buildkit/rewritten-timestamp'])).toEqual([
      undefined,
      undefined,
      '1000',
      '1000',
    ])
  })
})

describeWith(['docker-registry'], 'an image on a base from a registry', () => {
  let registry: Registry
  beforeAll(async () => {
    registry = await startRegistry()
  })
  afterAll(async () => registry.stop())

  /** The same layers under two names, each compressed in its own way. */
  async function pushBoth(): Promise<void> {
    await tagBase('source')
    for (const compression of ['gzip', 'zstd'] as const) {
      const output = { type: 'registry', name: `${registry.host}/${compression}:1`, compression } as const
      await build({ ...optionsOf('source', 'FROM base\nCOPY file /more\n'), outputs: [output] })
    }
  }

  const ways = WAYS.filter(([name]) => ['gzip', 'zstd that is forced', 'gzip with times rewritten'].includes(name))
  test.each(ways)('as %s is the same first, from the cache and beside another image of its layers', async (_, more) => {
    await pushBoth()
    const on = (name: string): string => `FROM ${registry.host}/${name}:1\nCOPY file /three\n`
    const [gzip, zstd] = [await archive('one', on('gzip'), more), await archive('two', on('zstd'), more)]
    for (const store of ['one', 'two']) {
      expect((await archive(store, on('gzip'), more)).digest).toBe(gzip.digest)
      expect((await archive(store, on('zstd'), more)).digest).toBe(zstd.digest)
    }
    const typesOf = ({ manifest }: Written): string[] =>
      manifest.layers.slice(0, 3).map(({ mediaType }) => mediaType.replace(/.*\+/, ''))
    const isForced = more['force-compression'] === 'true'
    expect(typesOf(gzip)).toEqual(Array(3).fill(isForced ? more['compression'] : 'gzip'))
    expect(typesOf(zstd)).toEqual(Array(3).fill('zstd'))
  })
})
