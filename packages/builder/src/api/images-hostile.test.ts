import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { openStore } from '../store/store.ts'
import { history, images, inspect, remove, tag } from './images.ts'
import { prune } from './usage.ts'

// An image that somebody else has put into the store, or that a registry has served.

const NAME = 'docker.io/library/hostile:latest'
const LAYER = 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'

let directory: TemporaryDirectory
let store: string
beforeEach(async () => {
  directory = await temporaryDirectory('ts-oci-hostile-')
  store = directory.join('store')
  await (await openStore({ root: store })).close()
})
afterEach(async () => {
  await directory[Symbol.asyncDispose]()
})

function putBlob(text: string | Buffer): { readonly digest: string; readonly size: number } {
  const bytes = Buffer.from(text)
  const hex = createHash('sha256').update(bytes).digest('hex')
  writeFileSync(join(store, 'blobs/sha256', hex), bytes)
  return { digest: `sha256:${hex}`, size: bytes.length }
}

interface Parts {
  readonly config: string
  readonly layers?: number
  readonly entry?: object
  readonly manifest?: (config: object, layers: readonly object[]) => string
}

/** An image by hand, named in `index.json` as another tool would. */
function putImage({ config, layers = 1, entry = {}, manifest }: Parts): void {
  const { digest, size } = putBlob('hello')
  const descriptors = Array.from({ length: layers }, () => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest,
    size,
  }))
  const configDescriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', ...putBlob(config) }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const text =
    manifest?.(configDescriptor, descriptors) ??
    JSON.stringify({ schemaVersion: 2, mediaType, config: configDescriptor, layers: descriptors })
  const named = { mediaType, ...putBlob(text), annotations: { 'io.containerd.image.name': NAME }, ...entry }
  writeFileSync(join(store, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }))
}

const config = (more: object, layers = 1): string =>
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: Array.from({ length: layers }, () => LAYER) },
    ...more,
  })

async function within<Result>(ms: number, work: () => Promise<Result>): Promise<Result> {
  const startMs = performance.now()
  const result = await work()
  expect(performance.now() - startMs).toBeLessThan(ms)
  return result
}

// As BuildKit reads an index: what is absent of a platform is empty.
test('an entry whose platform lacks its words is the image that its config says', async () => {
  putImage({ config: config({}), entry: { platform: {} } })
  expect(await images({ store })).toMatchObject([{ repository: 'hostile' }])
})

test('a history of a hundred thousand entries is listed at once', async () => {
  const entries = Array.from({ length: 100_000 }, (_, at) => ({ created_by: `RUN ${at}`, empty_layer: at > 0 }))
  putImage({ config: config({ history: entries }) })
  const rows = await within(5000, () => history('hostile', { store }))
  expect(rows).toHaveLength(100_000)
  expect(rows.at(-1)).toMatchObject({ createdBy: 'RUN 0', sizeBytes: 5 })
})

test('thousands of layers with a history of as many are taken in, inspected and removed at once', async () => {
  const entries = Array.from({ length: 9000 }, () => ({ created_by: 'RUN x' }))
  putImage({ config: config({ history: entries }, 9000), layers: 9000 })
  await within(20_000, async () => {
    expect(await images({ store })).toHaveLength(1)
    expect((await inspect('hostile', { store })).Layers).toHaveLength(9000)
    expect(await history('hostile', { store })).toHaveLength(9000)
    await tag('hostile', 'other', { store })
    await remove('other', { store })
  })
})

test('names, texts and times that are anything are handed on as text, and those that are none count as nothing', async () => {
  const escape = '\u001b]0;owned\u0007\u0000\r\u202e'
  putImage({
    config: config({
      author: escape,
      variant: { toString: 1 },
      'os.features': 7,
      created: '99999-99-99T99:99:99Z',
      history: [{ created_by: escape, comment: 5, created: 'never', empty_layer: 'yes' }],
      config: { Labels: { ['__proto__']: escape, constructor: 'x' }, User: escape, Env: null, Cmd: null },
    }).replace('"constructor"', '"__proto__":"polluted","constructor"'),
  })
  const [summary] = await images({ store })
  expect(summary).toMatchObject({ repository: 'hostile', tag: 'latest', createdMs: undefined })
  expect(await history('hostile', { store })).toMatchObject([{ createdBy: escape, comment: '', emptyLayer: false }])
  const found = await inspect('hostile', { store })
  expect(found).toMatchObject({ Author: escape, Created: '', Config: { User: escape } })
  expect(found).not.toHaveProperty('Variant')
  expect(JSON.stringify(found.Config)).toContain('"__proto__":"polluted"')
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  await prune({ all: true, store })
  expect(await images({ store })).toHaveLength(1)
})

describe('what cannot be an image is none, and the store works on', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
  const cases: readonly (readonly [string, Parts])[] = [
    ['a config that is no object', { config: '[]' }],
    ['a config that is null', { config: 'null' }],
    ['a config without rootfs', { config: '{"architecture":"amd64","os":"linux"}' }],
    ['a config whose diff_ids are numbers', { config: config({ rootfs: { type: 'layers', diff_ids: [1] } }) }],
    ['a config with fewer diff_ids than layers', { config: config({}), layers: 2 }],
    ['a config without a platform', { config: config({ os: undefined, architecture: 7 }) }],
    ['a history that is text', { config: config({ history: 'x' }) }],
    ['an environment of numbers', { config: config({ config: { Env: [1] } }) }],
    ['labels of objects', { config: config({ config: { Labels: { a: {} } } }) }],
    ['a health check that is text', { config: config({ config: { Healthcheck: 'x' } }) }],
    ['a config that is nested deep', { config: config({ config: { X: 0 } }).replace('"X":0', `"X":${deep}`) }],
    ['a config of nine megabytes', { config: config({ author: 'x'.repeat(9 << 20) }) }],
    ['a manifest that is nested deep', { config: config({}), manifest: () => `{"schemaVersion":2,"x":${deep}}` }],
    [
      'a manifest that is an index, too',
      {
        config: config({}),
        manifest: (one, layers) => JSON.stringify({ schemaVersion: 2, config: one, layers, manifests: [] }),
      },
    ],
    [
      'a layer of a negative size',
      {
        config: config({}),
        manifest: (one, layers) =>
          JSON.stringify({ schemaVersion: 2, config: one, layers: [{ ...layers[0], size: -1 }] }),
      },
    ],
    [
      'a layer whose digest is a path',
      {
        config: config({}),
        manifest: (one, layers) =>
          JSON.stringify({
            schemaVersion: 2,
            config: one,
            layers: [{ ...layers[0], digest: 'sha256:../../../etc/passwd' }],
          }),
      },
    ],
    ['an entry of a platform that is text', { config: config({}), entry: { platform: 'linux' } }],
    ['an entry whose platform has a list for a word', { config: config({}), entry: { platform: { os: ['linux'] } } }],
  ]

  test.each(cases)('%s', async (_what, parts) => {
    putImage(parts)
    await within(10_000, async () => {
      expect((await images({ store })).map(({ repository }) => repository)).not.toContain('hostile')
      await expect(inspect('hostile', { store })).rejects.toMatchObject({ code: 'OCI_IMAGE_NOT_FOUND' })
      await prune({ all: true, store })
      await using open = await openStore({ root: store })
      open.blobs.put(Buffer.from('fine'))
    })
  })

  test('an entry that cannot be read hides no other one, and is kept', async () => {
    putImage({ config: config({}) })
    const path = join(store, 'index.json')
    const index = JSON.parse(readFileSync(path, 'utf8'))
    const other = { ...index.manifests[0], digest: `sha512:${'0'.repeat(128)}` }
    writeFileSync(path, JSON.stringify({ ...index, manifests: [other, null, 7, ...index.manifests] }))
    expect(await images({ store })).toMatchObject([{ repository: 'hostile' }])
    expect(readFileSync(`${path}.unreadable`, 'utf8')).toContain('sha512:')
  })

  test.each(['-x', '../../x', 'a\u0000b', 'a\nb', '\u001b[2J', 'x'.repeat(5000), ''])(
    'a name that is none, %j, leaves the image without one',
    async (name) => {
      putImage({ config: config({}), entry: { annotations: { 'io.containerd.image.name': name } } })
      expect(await images({ store })).toMatchObject([{ repository: '<none>', tag: '<none>' }])
      expect(readFileSync(join(store, 'index.json'), 'utf8')).toContain('"manifests"')
    },
  )
})
