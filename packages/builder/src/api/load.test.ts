import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, testWith, type TemporaryDirectory } from '@ts-oci/testing'
import {
  archiveOf,
  configOf,
  digestOf,
  hexOf,
  layerOf,
  oldDockerArchive,
  writeArchiveFile,
} from './archives.test.helper.ts'
import { history, images } from './images.ts'
import { exportFiles } from './export-files.ts'
import { load } from './load.ts'

let directory: TemporaryDirectory
let store: string
const lower = layerOf('a', 'lower')
const upper = layerOf('b', 'upper')
const config = configOf([lower, upper])

beforeEach(async () => {
  directory = await temporaryDirectory()
  store = directory.join('store')
})
afterEach(async () => directory[Symbol.asyncDispose]())

async function filesOf(image: string): Promise<string[]> {
  const output = directory.join('files.tar')
  await exportFiles(image, { store, output })
  return (await checkTool('tar', ['-tf', output])).trim().split('\n')
}

async function* pieces(bytes: Buffer, sizeBytes: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes)
}

const archive = (): Buffer => archiveOf(oldDockerArchive([{ layers: [lower, upper], names: ['app:1', 'other/app'] }]))

describe("an archive in Docker's old format", () => {
  test('is loaded under its names, with the id of its config', async () => {
    const input = directory.join('a.tar')
    writeFileSync(input, archive())
    expect(await load({ store, input })).toEqual([
      { names: ['app:1', 'other/app:latest'], id: digestOf(config), digest: expect.stringMatching(/^sha256:/) },
    ])
    expect(await filesOf('app:1')).toEqual(['a', 'b'])
    expect((await history('app:1', { store })).length).toBe(0)
  })

  test.each([1, 7, 512, 100_000])('comes through a pipe in pieces of %i bytes', async (sizeBytes) => {
    const [loaded] = await load({ store, stdin: pieces(archive(), sizeBytes) })
    expect(loaded?.id).toBe(digestOf(config))
    expect(await filesOf('app:1')).toEqual(['a', 'b'])
    expect(readdirSync(`${store}/tmp`)).toEqual([])
  })

  test.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('may be compressed by %s', async (_, compress) => {
    const input = directory.join('a.tar.x')
    writeFileSync(input, compress(archive()))
    expect((await load({ store, input }))[0]?.names).toContain('app:1')
  })

  testWith(['xz', 'bzip2'], 'may be compressed by xz and bzip2', async () => {
    for (const program of ['xz', 'bzip2']) {
      writeFileSync(directory.join('a.tar'), archive())
      await checkTool(program, ['-f', directory.join('a.tar')])
      const input = directory.join(program === 'xz' ? 'a.tar.xz' : 'a.tar.bz2')
      expect((await load({ store: `${store}-${program}`, input }))[0]?.id).toBe(digestOf(config))
    }
  })

  test('with several images has what they share once, behind a link', async () => {
    const both = oldDockerArchive([
      { layers: [lower], names: ['one'] },
      { layers: [lower, upper], names: null },
    ])
    const loaded = await load({ store, input: writeArchiveFile(directory.join('a.tar'), both) })
    expect(loaded.map(({ names }) => names)).toEqual([['one:latest'], []])
    expect((await images({ store })).map(({ repository }) => repository).toSorted()).toEqual(['<none>', 'one'])
  })

  test('may be unpacked', async () => {
    mkdirSync(directory.join('unpacked'))
    writeFileSync(directory.join('a.tar'), archive())
    await checkTool('tar', ['-xf', directory.join('a.tar'), '-C', directory.join('unpacked')])
    expect((await load({ store, input: directory.join('unpacked') }))[0]?.names).toContain('app:1')
  })

  test.each([
    ['gzip', gzipSync(lower)],
    ['zstd', zstdCompressSync(lower)],
  ])('may have layers that are compressed by %s', async (_, packed) => {
    const one = configOf([lower])
    const input = writeArchiveFile(directory.join('a.tar'), [
      { name: 'c.json', data: one },
      { name: 'l', data: packed },
      { name: 'manifest.json', data: JSON.stringify([{ Config: 'c.json', RepoTags: ['app'], Layers: ['l'] }]) },
    ])
    expect((await load({ store, input }))[0]?.id).toBe(digestOf(one))
    expect(await filesOf('app')).toEqual(['a'])
  })

  testWith(['xz'], 'may have layers in a compression that no manifest can name', async () => {
    writeFileSync(directory.join('l'), lower)
    await checkTool('xz', [directory.join('l')])
    const input = writeArchiveFile(directory.join('a.tar'), [
      { name: 'c.json', data: configOf([lower]) },
      { name: 'l', data: readFileSync(directory.join('l.xz')) },
      { name: 'manifest.json', data: JSON.stringify([{ Config: 'c.json', RepoTags: ['app'], Layers: ['l'] }]) },
    ])
    await load({ store, input })
    expect(await filesOf('app')).toEqual(['a'])
  })
})

interface LayoutParts {
  readonly manifests: readonly object[]
  readonly blobs: readonly Uint8Array[]
}

function layoutEntries({ manifests, blobs }: LayoutParts) {
  return [
    { name: 'oci-layout', data: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', data: JSON.stringify({ schemaVersion: 2, manifests }) },
    ...blobs.map((blob) => ({ name: `blobs/sha256/${hexOf(blob)}`, data: blob })),
  ]
}

const TYPE = 'application/vnd.oci.image'

function ociImage(layers: readonly Buffer[], more: object = {}) {
  const bytes = configOf(layers, more)
  const descriptor = (mediaType: string, blob: Buffer) => ({ mediaType, digest: digestOf(blob), size: blob.length })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${TYPE}.manifest.v1+json`,
      config: descriptor(`${TYPE}.config.v1+json`, bytes),
      layers: layers.map((layer) => descriptor(`${TYPE}.layer.v1.tar`, layer)),
    }),
  )
  return {
    entry: descriptor(`${TYPE}.manifest.v1+json`, manifest),
    blobs: [manifest, bytes, ...layers],
    digest: digestOf(manifest),
    config: bytes,
  }
}

describe('an archive that is an OCI layout', () => {
  const image = ociImage([lower])

  test.each([
    [{ 'io.containerd.image.name': 'docker.io/library/app:1', 'org.opencontainers.image.ref.name': '1' }, ['app:1']],
    [{ 'org.opencontainers.image.ref.name': 'quay.io/x/app:2' }, ['quay.io/x/app:2']],
    // A tag alone: nobody knows of what.
    [{ 'org.opencontainers.image.ref.name': 'latest' }, []],
    [{}, []],
  ])('with the annotations %j gives the names %j, and keeps its digest', async (annotations, names) => {
    const entries = layoutEntries({ manifests: [{ ...image.entry, annotations }], blobs: image.blobs })
    const loaded = await load({ store, input: writeArchiveFile(directory.join('a.tar'), entries) })
    expect(loaded).toEqual([{ names, digest: image.digest, id: digestOf(image.config) }])
  })

  test("counts before Docker's list, where an archive is both", async () => {
    const entries = [
      ...layoutEntries({ manifests: [image.entry], blobs: image.blobs }),
      { name: 'manifest.json', data: '[]' },
    ]
    const loaded = await load({ store, input: writeArchiveFile(directory.join('a.tar'), entries) })
    expect(loaded.map(({ digest }) => digest)).toEqual([image.digest])
  })

  test('keeps an index of which it has some images, with those', async () => {
    const arm = ociImage([upper], { architecture: 'arm64' })
    const platform = (architecture: string) => ({ platform: { os: 'linux', architecture } })
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: `${TYPE}.index.v1+json`,
        manifests: [
          { ...image.entry, ...platform('amd64') },
          { ...arm.entry, ...platform('arm64') },
          { ...image.entry, digest: digestOf(Buffer.from('gone')), ...platform('s390x') },
        ],
      }),
    )
    const entry = { mediaType: `${TYPE}.index.v1+json`, digest: digestOf(index), size: index.length }
    const entries = layoutEntries({ manifests: [entry], blobs: [index, ...image.blobs, ...arm.blobs] })
    const input = writeArchiveFile(directory.join('a.tar'), entries)
    expect(await load({ store, input })).toEqual([{ names: [], digest: digestOf(index), id: digestOf(index) }])
    const alone = await load({ store: `${store}-2`, input, platform: 'linux/arm64' })
    expect(alone).toEqual([{ names: [], digest: arm.digest, id: digestOf(arm.config) }])
    await expect(load({ store, input, platform: 'linux/riscv64' })).rejects.toMatchObject({
      code: 'OCI_PLATFORM_NOT_FOUND',
    })
  })
})
