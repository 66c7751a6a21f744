import { mkdirSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { build } from './build.ts'
import type { BuildMetadata, BuildOptions, OutputSpec } from '../build/public-types.ts'

let directory: TemporaryDirectory
let context: string

beforeEach(async () => {
  directory = await temporaryDirectory()
  context = directory.join('context')
  mkdirSync(context)
  writeFileSync(directory.join('context/a'), 'a')
  writeFileSync(directory.join('context/Dockerfile'), 'FROM scratch\nCOPY a /\n')
})
afterEach(async () => directory[Symbol.asyncDispose]())

async function metadataOf(options: Omit<BuildOptions, 'context'>): Promise<BuildMetadata> {
  const store = directory.join('store')
  return (await build({ context, store, platform: 'linux/amd64', sourceDateEpoch: 77, ...options })).metadata
}

const platform = { architecture: 'amd64', os: 'linux' }
const created = { 'org.opencontainers.image.created': '1970-01-01T00:01:17Z' }

// What buildx 0.29 with dockerd 28.5 writes for the same outputs; digests and sizes apart.
const rows: readonly (readonly [OutputSpec['type'], Record<`annotation${string}`, string>, object])[] = [
  ['oci', {}, { platform, annotations: created }],
  ['oci', { 'annotation-manifest-descriptor.c': 'd' }, { platform, annotations: { c: 'd', ...created } }],
  ['docker', {}, { platform, annotations: created }],
  ['image', { 'annotation-manifest-descriptor.e': 'f' }, { platform, annotations: { e: 'f' } }],
  ['image', {}, { platform }],
]
test.each(rows)(
  'the descriptor of type=%s with %j has platform and annotations of buildx',
  async (type, more, expected) => {
    const attrs = { ...more, ...(type === 'image' ? {} : { dest: directory.join('out.tar') }) }
    const { 'containerimage.descriptor': descriptor } = await metadataOf({
      outputs: [{ type, ...attrs } as OutputSpec],
    })
    const { mediaType, digest, size, ...rest } = descriptor!
    expect({ mediaType, digest, size }).toEqual({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: expect.stringMatching(/^sha256:/),
      size: expect.any(Number),
    })
    expect(rest).toEqual(expected)
  },
)

test('the descriptor of an index has its annotations and no platform', async () => {
  const outputs = [{ type: 'oci' as const, dest: directory.join('out.tar'), 'annotation-index-descriptor.g': 'h' }]
  const metadata = await metadataOf({ outputs, platform: 'linux/amd64,linux/arm64' })
  expect(metadata['containerimage.descriptor']).toEqual({
    mediaType: 'application/vnd.oci.image.index.v1+json',
    digest: metadata['containerimage.digest'],
    size: expect.any(Number),
    annotations: { g: 'h', ...created },
  })
})

test('names are those that were written, and files have none', async () => {
  const dest = directory.join('out.tar')
  const named = await metadataOf({ tags: ['a:1'], outputs: [{ type: 'oci', dest, name: 'b:2' }] })
  expect(named['image.name']).toBe('docker.io/library/b:2')
  expect(await metadataOf({ tags: ['a:1'], outputs: [{ type: 'tar', dest }] })).toEqual({})
})
