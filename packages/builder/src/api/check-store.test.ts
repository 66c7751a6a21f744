import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'
import { checkStore } from './check-store.ts'
import { images } from './images.ts'
import { openSession } from './session.ts'
import type { StoreDamage } from '../build/public-types.ts'
import type { LayerRecord } from '../store/types.ts'

const DOCKERFILE = `FROM $BASE
RUN mkdir /d && echo one > /d/one && ln /d/one /d/two && ln -s one /d/link && rm /bin/true
COPY file /file
RUN cat /file > /copied && chmod 4755 /copied
`

describeWith(buildNeeds, 'a check of the store', () => {
  let world: BuildWorld
  let context = ''
  beforeAll(async () => {
    world = await makeBuildWorld()
    context = await world.context('checked', { Dockerfile: DOCKERFILE, file: 'content\n'.repeat(1000) })
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  /** A store with one image, and the rows of its layers. */
  async function built(
    name: string,
  ): Promise<{ readonly store: string; readonly layers: readonly LayerRecord[]; readonly digest: string }> {
    const store = world.directory.join(name)
    const { configDigest } = await world.build(context, { store, tags: ['app'], sourceDateEpoch: 1 })
    await using session = await openSession({ store })
    return { store, layers: session.store.layers.list(), digest: String(configDigest) }
  }

  const of = (layers: readonly LayerRecord[], part: string): LayerRecord =>
    layers.find(({ description }) => description.includes(part))!
  const blobPath = (store: string, digest: string): string => join(store, 'blobs/sha256', digest.slice(7))

  /** Other bytes, as many. */
  function spoil(path: string): void {
    const bytes = readFileSync(path)
    bytes[bytes.length >> 1]! ^= 0x55
    const { mode } = statSync(path)
    chmodSync(path, 0o600)
    writeFileSync(path, bytes)
    chmodSync(path, mode)
  }

  /** As an archive that was unpacked over the store leaves it. */
  function asDirectory(path: string): void {
    rmSync(path)
    mkdirSync(join(path, 'inside'), { recursive: true })
  }

  function asFifo(path: string): void {
    rmSync(path)
    execFileSync('mkfifo', [path])
  }

  const kinds = (damages: readonly StoreDamage[]): readonly string[] => damages.map(({ kind }) => kind).toSorted()

  test('finds nothing in a store that is whole', async () => {
    const { store, layers } = await built('whole')
    const report = await checkStore({ store })
    expect(report).toMatchObject({ damages: [], checked: { layers: layers.length, images: 1 } })
    expect(report.checked.blobs).toBe(readdirSync(join(store, 'blobs/sha256')).length)
  })

  test.each<[string, (store: string, layers: readonly LayerRecord[]) => void, readonly string[]]>([
    [
      'a tar with other bytes',
      (store, layers) => spoil(blobPath(store, of(layers, 'COPY file').diffId!)),
      ['blob', 'tar'],
    ],
    [
      'a blob of the base with other bytes',
      (store, layers) => spoil(blobPath(store, of(layers, 'pulled from').blobs[0]!.descriptor.digest)),
      ['blob', 'blob'],
    ],
    ['a tar that is gone', (store, layers) => rmSync(blobPath(store, of(layers, 'COPY file').diffId!)), ['tar']],
    [
      'a table that is cut off',
      (store, layers) => truncateSync(join(store, 'tables', of(layers, 'cat /file').id), 40),
      ['table'],
    ],
    ['a table that is gone', (store, layers) => rmSync(join(store, 'tables', of(layers, 'cat /file').id)), ['table']],
    [
      'a file of a tree with other bytes',
      (store, layers) => spoil(join(store, 'snapshots', of(layers, 'mkdir /d').id, 'd/one')),
      ['tree'],
    ],
    [
      'a tree that lacks a file',
      (store, layers) => rmSync(join(store, 'snapshots', of(layers, 'mkdir /d').id, 'd/link')),
      ['tree'],
    ],
    [
      'a tar that is a directory',
      (store, layers) => asDirectory(blobPath(store, of(layers, 'COPY file').diffId!)),
      ['blob', 'tar'],
    ],
    [
      'a blob of the base that is a fifo',
      (store, layers) => asFifo(blobPath(store, of(layers, 'pulled from').blobs[0]!.descriptor.digest)),
      ['blob', 'blob'],
    ],
    [
      'a table that is a directory',
      (store, layers) => asDirectory(join(store, 'tables', of(layers, 'cat /file').id)),
      ['table'],
    ],
  ])('finds and drops %s, and the next build is right', async (what, damage, expected) => {
    const { store, layers, digest } = await built(what.replaceAll(/\W/g, '-'))
    damage(store, layers)
    const found = await checkStore({ store })
    expect(kinds(found.damages)).toEqual(expected)
    expect(found.damages.every(({ isRepaired }) => !isRepaired)).toBe(true)
    const repaired = await checkStore({ store, repair: true })
    expect(kinds(repaired.damages)).toEqual(expected)
    expect(repaired.damages.every(({ isRepaired }) => isRepaired)).toBe(true)
    expect((await checkStore({ store })).damages).toEqual([])
    const again = await world.build(context, {
      store,
      tags: ['app'],
      sourceDateEpoch: 1,
      outputs: [{ type: 'docker', dest: world.directory.join('out.tar') }],
    })
    expect(again.configDigest).toBe(digest)
    expect((await checkStore({ store })).damages).toEqual([])
  })

  test('drops a layer of which nothing is left, with its records and its image: the next build makes it again', async () => {
    const { store, layers } = await built('lost')
    const layer = of(layers, 'cat /file')
    rmSync(blobPath(store, layer.diffId!), { force: true })
    rmSync(join(store, 'snapshots', layer.id), { recursive: true })
    const { damages } = await checkStore({ store, repair: true })
    expect(kinds(damages).filter((kind) => kind !== 'tar')).toEqual(['image', 'record', 'tree'])
    expect(damages.find(({ kind }) => kind === 'image')).toMatchObject({
      name: 'docker.io/library/app:latest',
      isRepaired: true,
    })
    expect(await images({ store })).toEqual([])
    const again = await world.build(context, { store, tags: ['app'], sourceDateEpoch: 1 })
    expect(verticesOf(again, 'ran')).toEqual(['RUN cat /file > /copied && chmod 4755 /copied'])
    expect((await checkStore({ store })).damages).toEqual([])
  })

  test('drops an image whose manifest has other bytes', async () => {
    const { store, digest } = await built('manifest')
    const [image] = await images({ store })
    spoil(blobPath(store, image!.digest))
    expect(kinds((await checkStore({ store, repair: true })).damages)).toEqual(['blob', 'image'])
    expect(await images({ store })).toEqual([])
    expect(existsSync(blobPath(store, image!.digest))).toBe(false)
    expect((await world.build(context, { store, tags: ['app'], sourceDateEpoch: 1 })).configDigest).toBe(digest)
  })

  test('leaves what a build uses that runs, and says so', async () => {
    const { store, layers } = await built('used')
    const layer = of(layers, 'mkdir /d')
    rmSync(join(store, 'snapshots', layer.id, 'd/link'))
    {
      await using other = await openSession({ store })
      other.store.lease(layer.id)
      const { damages } = await checkStore({ store, repair: true })
      expect(damages).toMatchObject([
        { kind: 'tree', isRepaired: false, problem: expect.stringContaining('a build uses it') },
      ])
    }
    expect((await checkStore({ store, repair: true })).damages).toMatchObject([{ kind: 'tree', isRepaired: true }])
  })
})
