import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import {
  archiveOf,
  configOf,
  digestOf,
  hexOf,
  layerOf,
  oldDockerArchive,
  writeArchiveFile,
  type Entry,
} from './archives.test.helper.ts'
import { images } from './images.ts'
import { load } from './load.ts'

let directory: TemporaryDirectory
let store: string
const layer = layerOf('a', 'content')
const other = layerOf('a', 'another content')
const config = configOf([layer])

beforeEach(async () => {
  directory = await temporaryDirectory()
  store = directory.join('store')
  const before = oldDockerArchive([{ layers: [other], names: ['before:1'] }])
  await load({ store, input: writeArchiveFile(directory.join('before.tar'), before) })
})
afterEach(async () => directory[Symbol.asyncDispose]())

function list(more: object): string {
  return JSON.stringify([{ Config: 'c.json', RepoTags: ['before:1'], Layers: ['l'], ...more }])
}

const good: readonly Entry[] = [
  { name: 'c.json', data: config },
  { name: 'l', data: layer },
]

const rows: readonly (readonly [string, readonly Entry[], string, string | RegExp])[] = [
  ['has no list', good, 'OCI_ARCHIVE_INVALID', /is no archive of images/],
  [
    'has an empty name of a config',
    [...good, { name: 'manifest.json', data: list({ Config: '' }) }],
    'OCI_ARCHIVE_INVALID',
    /has no/,
  ],
  ['lists what is no list', [{ name: 'manifest.json', data: '{"a":1}' }], 'OCI_ARCHIVE_INVALID', /is no list/],
  ['lists what is no JSON', [{ name: 'manifest.json', data: '[{' }], 'OCI_ARCHIVE_INVALID', /is no list/],
  [
    'lists JSON without end',
    [{ name: 'manifest.json', data: '['.repeat(100_000) }],
    'OCI_ARCHIVE_INVALID',
    /is no list/,
  ],
  [
    'has a list of 17 MB',
    [{ name: 'manifest.json', data: Buffer.alloc(17 << 20, ' ') }],
    'OCI_ARCHIVE_INVALID',
    /17825792 bytes, more than/,
  ],
  [
    'has two lists',
    [...good, { name: 'manifest.json', data: list({}) }, { name: './manifest.json', data: list({}) }],
    'OCI_ARCHIVE_INVALID',
    /has two files manifest.json/,
  ],
  [
    'names a config outside',
    [...good, { name: 'manifest.json', data: list({ Config: '../../etc/passwd' }) }],
    'OCI_ARCHIVE_INVALID',
    /leads out of the archive/,
  ],
  [
    'names a config by an absolute path',
    [...good, { name: 'manifest.json', data: list({ Config: '/etc/passwd' }) }],
    'OCI_ARCHIVE_INVALID',
    /has no \/etc\/passwd/,
  ],
  [
    'has an entry outside',
    [...good, { name: '../x', data: 'x' }, { name: 'manifest.json', data: list({}) }],
    'OCI_ARCHIVE_INVALID',
    /leads out of the archive/,
  ],
  [
    'has a link to a file of the machine',
    [
      { name: 'c.json', flag: '2', link: '/etc/passwd' },
      { name: 'manifest.json', data: list({}) },
    ],
    'OCI_ARCHIVE_INVALID',
    /leads out of the archive/,
  ],
  [
    'has a link that leads out',
    [
      { name: 'd/c.json', flag: '2', link: '../../x' },
      { name: 'manifest.json', data: list({ Config: 'd/c.json' }) },
    ],
    'OCI_ARCHIVE_INVALID',
    /leads out of the archive/,
  ],
  [
    'has links in a circle',
    [
      { name: 'c.json', flag: '2', link: 'd' },
      { name: 'd', flag: '2', link: 'c.json' },
      { name: 'manifest.json', data: list({}) },
    ],
    'OCI_ARCHIVE_INVALID',
    /leads in a circle/,
  ],
  [
    'has a link to nothing',
    [
      { name: 'c.json', flag: '2', link: 'd' },
      { name: 'manifest.json', data: list({}) },
    ],
    'OCI_ARCHIVE_INVALID',
    /leads to nothing/,
  ],
  [
    'lacks a layer',
    [
      { name: 'c.json', data: config },
      { name: 'manifest.json', data: list({}) },
    ],
    'OCI_ARCHIVE_INVALID',
    /has no l$/,
  ],
  [
    'has another layer than its config says',
    [
      { name: 'c.json', data: config },
      { name: 'l', data: other },
      { name: 'manifest.json', data: list({}) },
    ],
    'OCI_DIGEST_MISMATCH',
    /sha256/,
  ],
  [
    'has a compressed layer with another diffID',
    [
      { name: 'c.json', data: config },
      { name: 'l', data: gzipSync(other) },
      { name: 'manifest.json', data: list({}) },
    ],
    'OCI_DIGEST_MISMATCH',
    /diffID/,
  ],
  [
    'has a layer that is cut off inside',
    [
      { name: 'c.json', data: configOf([layer.subarray(0, 515)]) },
      { name: 'l', data: layer.subarray(0, 515) },
      { name: 'manifest.json', data: list({}) },
    ],
    'OCI_LAYER_INVALID',
    /ends in the middle/,
  ],
  [
    'has a layer whose gzip is damaged',
    [
      { name: 'c.json', data: config },
      { name: 'l', data: Buffer.concat([gzipSync(layer).subarray(0, 30), Buffer.alloc(50, 1)]) },
      { name: 'manifest.json', data: list({}) },
    ],
    'OCI_LAYER_INVALID',
    /cannot be decompressed/,
  ],
  [
    'has fewer layers than its config',
    [...good, { name: 'manifest.json', data: list({ Layers: [] }) }],
    'OCI_ARCHIVE_INVALID',
    /names 0 layers, the config c.json 1/,
  ],
  [
    'has a config of another digest than its name',
    [
      { name: `${hexOf(layer)}.json`, data: config },
      { name: 'l', data: layer },
      { name: 'manifest.json', data: list({ Config: `${hexOf(layer)}.json` }) },
    ],
    'OCI_DIGEST_MISMATCH',
    /has digest/,
  ],
  [
    'has a config that is none',
    [
      { name: 'c.json', data: '{}' },
      { name: 'l', data: layer },
      { name: 'manifest.json', data: list({}) },
    ],
    'OCI_CONFIG_INVALID',
    /architecture is missing/,
  ],
  [
    'has a name that is none',
    [...good, { name: 'manifest.json', data: list({ RepoTags: ['../x'] }) }],
    'OCI_REFERENCE_INVALID',
    /invalid/,
  ],
  ['has a sparse file', [{ name: 'l', flag: 'S', data: layer }], 'OCI_ARCHIVE_INVALID', /sparse/],
  [
    'was written before Docker 1.10',
    [
      { name: 'x/layer.tar', data: layer },
      { name: 'repositories', data: '{}' },
    ],
    'OCI_ARCHIVE_INVALID',
    /before 1.10/,
  ],
  [
    'is a layout of another version',
    [
      { name: 'oci-layout', data: '{"imageLayoutVersion":"2.0.0"}' },
      { name: 'index.json', data: '{"schemaVersion":2,"manifests":[]}' },
    ],
    'OCI_ARCHIVE_INVALID',
    /version "2.0.0"/,
  ],
  [
    'is a layout whose blob is another',
    [
      { name: 'oci-layout', data: '{"imageLayoutVersion":"1.0.0"}' },
      {
        name: 'index.json',
        data: JSON.stringify({
          schemaVersion: 2,
          manifests: [
            {
              mediaType: 'application/vnd.oci.image.manifest.v1+json',
              digest: `sha256:${hexOf(layer)}`,
              size: config.length,
            },
          ],
        }),
      },
      { name: `blobs/sha256/${hexOf(layer)}`, data: config },
    ],
    'OCI_DIGEST_MISMATCH',
    /has digest/,
  ],
]

describe.each(['a file', 'a pipe'])('an archive in %s', (place) => {
  test.each(rows)('that %s is refused, and the store is as it was', async (_, entries, code, message) => {
    const before = await images({ store })
    const input = writeArchiveFile(directory.join('bad.tar'), entries)
    const stdin = (async function* () {
      yield archiveOf(entries)
    })()
    const loading = load(place === 'a file' ? { store, input } : { store, stdin })
    await expect(loading).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    expect(await images({ store })).toEqual(before)
  })
})

// It would be kept, and pushed, with a manifest that no registry takes.
test('a layer of another size than its manifest says is refused although the store has the layer', async () => {
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: descriptorOf(configOf([other]), 'application/vnd.oci.image.config.v1+json'),
      layers: [{ ...descriptorOf(other, 'application/vnd.oci.image.layer.v1.tar'), size: other.length + 1 }],
    }),
  )
  const index = { schemaVersion: 2, manifests: [descriptorOf(manifest, 'application/vnd.oci.image.manifest.v1+json')] }
  const input = writeArchiveFile(directory.join('size.tar'), [
    { name: 'oci-layout', data: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', data: JSON.stringify(index) },
    ...[manifest, configOf([other]), other].map((data) => ({ name: `blobs/sha256/${hexOf(data)}`, data })),
  ])
  await expect(load({ store, input })).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
})

function descriptorOf(bytes: Buffer, mediaType: string): object {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

test('what is no archive is said to be none', async () => {
  writeFileSync(directory.join('x'), 'no archive at all')
  await expect(load({ store, input: directory.join('x') })).rejects.toMatchObject({ code: 'OCI_ARCHIVE_INVALID' })
  await expect(load({ store, input: directory.join('none') })).rejects.toThrow(
    /^open .*none: no such file or directory$/,
  )
  writeFileSync(directory.join('x'), '')
  await expect(load({ store, input: directory.join('x') })).rejects.toMatchObject({ code: 'OCI_ARCHIVE_INVALID' })
})

test('a bad image beside a good one gives neither', async () => {
  const entries = oldDockerArchive([{ layers: [layer], names: ['good:1'] }]).map((entry) =>
    entry.name === 'manifest.json'
      ? {
          ...entry,
          data: JSON.stringify([...JSON.parse(String(entry.data)), { Config: 'gone', Layers: [], RepoTags: [] }]),
        }
      : entry,
  )
  const input = writeArchiveFile(directory.join('bad.tar'), entries)
  await expect(load({ store, input })).rejects.toMatchObject({ code: 'OCI_ARCHIVE_INVALID' })
  expect((await images({ store })).map(({ repository }) => repository)).toEqual(['before'])
})

test('what says to be larger than the disk is refused before it is written', async () => {
  const stdin = (async function* () {
    yield archiveOf([{ name: 'l', size: 0o77777777777, data: 'x' }])
  })()
  const loading = load({ store, stdin })
  // A disk of more than 8 GB has room for it: then the archive is cut off.
  await expect(loading).rejects.toMatchObject({ code: expect.stringMatching(/OCI_STORE_FULL|OCI_ARCHIVE_INVALID/) })
})
