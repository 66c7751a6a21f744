import { statSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { openStore } from '../../store/store.ts'
import type { Store } from '../../store/types.ts'
import { digestOf } from '../../oci/digest.ts'
import {
  exportFixture,
  testContext,
  testDefaults,
  type ExportFixture,
  type TestImage,
} from '../memory-image.test.helper.ts'
import { prepareOutputs } from '../prepare.ts'

let fixture: ExportFixture
let directory: ExportFixture['directory']
let image: TestImage
let exportTo: ExportFixture['exportTo']

beforeEach(async () => {
  fixture = await exportFixture()
  ;({ directory, image, exportTo } = fixture)
})
afterEach(async () => fixture[Symbol.asyncDispose]())

describe('type=image', () => {
  let store: Store
  beforeEach(async () => {
    store = await openStore({ root: directory.join('store') })
  })
  afterEach(() => store.close())

  test('it names the image in the store and compresses nothing', async () => {
    const result = await exportTo({ type: 'image' }, { context: testContext(store) })
    expect(image.forms).toEqual([
      { compression: 'stored', descriptorOnly: true },
      { compression: 'stored', descriptorOnly: true },
    ])
    expect(store.images.get('docker.io/library/my-app:1')).toMatchObject({
      digest: result.digest,
      images: [
        {
          manifestDigest: result.digest,
          configDigest: result.images?.[0]?.configDigest,
          layerIds: ['l-0', 'l-1'],
          isComplete: true,
        },
      ],
      createdMs: Date.UTC(2024, 0, 1, 0, 0, 1),
      origin: 'built',
    })
    expect(digestOf(store.blobs.read(result.images![0]!.configDigest))).toBe(result.images?.[0]?.configDigest)
  })

  test('without a name it is known by its id', async () => {
    const result = await exportTo({ type: 'image' }, { context: testContext(store), defaults: { names: [] } })
    expect(store.images.find(result.images![0]!.configDigest)?.name).toBe(`<none>@${result.images?.[0]?.configDigest}`)
  })

  test('push=true sends gzip layers under every name', async () => {
    const context = testContext(store)
    const result = await exportTo(
      { type: 'image', push: true, name: 'localhost:5000/a:1,localhost:5000/a:2' },
      { context },
    )
    expect(context.pushed.map((request) => [request.reference, request.byDigest])).toEqual([
      ['localhost:5000/a:1', false],
      ['localhost:5000/a:2', false],
    ])
    expect(context.pushed[0]?.root.descriptor.digest).toBe(result.digest)
    expect(context.pushed[0]?.images[0]?.layers.map((layer) => layer.descriptor.mediaType)).toEqual([
      'application/vnd.oci.image.layer.v1.tar+gzip',
      'application/vnd.oci.image.layer.v1.tar+gzip',
    ])
    const record = store.images.get('localhost:5000/a:1')
    expect(record?.repoDigests).toEqual([`localhost:5000/a@${result.digest}`])
    expect(record?.images[0].configDigest).toBe(result.images?.[0]?.configDigest)
    expect(record?.digest).not.toBe(result.digest)
  })

  test('push-by-digest pushes each repository once, without a tag', async () => {
    const context = testContext(store)
    await exportTo(
      { type: 'registry', 'push-by-digest': true, name: 'localhost:5000/a:1,localhost:5000/a:2' },
      { context },
    )
    expect(context.pushed.map((request) => request.byDigest)).toEqual([true])
  })

  test('store=false keeps it out of the store', async () => {
    await exportTo({ type: 'registry', store: false }, { context: testContext(store) })
    expect(store.images.list()).toEqual([])
  })

  test('the same image again writes nothing', async () => {
    await exportTo({ type: 'image' }, { context: testContext(store) })
    const before = statSync(directory.join('store/index.json'), { bigint: true }).mtimeNs
    await exportTo({ type: 'image' }, { context: testContext(store) })
    expect(statSync(directory.join('store/index.json'), { bigint: true }).mtimeNs).toBe(before)
  })

  test('a push needs a name', async () => {
    await expect(prepareOutputs([{ type: 'registry' }], testDefaults('/', { names: [] }))).rejects.toThrow(
      'tag is needed when pushing to registry',
    )
  })
})
