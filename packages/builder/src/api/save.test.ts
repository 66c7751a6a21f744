import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, testWith, type TemporaryDirectory } from '@ts-oci/testing'
import { layerOf, oldDockerArchive, writeArchiveFile } from './archives.test.helper.ts'
import { images, tag } from './images.ts'
import { load } from './load.ts'
import { save } from './save.ts'

let directory: TemporaryDirectory
let store: string
const lower = layerOf('a', 'lower')
const upper = layerOf('b', 'upper')

beforeEach(async () => {
  directory = await temporaryDirectory()
  store = directory.join('store')
  const entries = oldDockerArchive([
    { layers: [lower], names: ['one:1'] },
    { layers: [lower, upper], names: ['two:2'] },
  ])
  await load({ store, input: writeArchiveFile(directory.join('in.tar'), entries) })
})
afterEach(async () => directory[Symbol.asyncDispose]())

async function listing(archive: string): Promise<string[]> {
  return (await checkTool('tar', ['-tf', archive])).trim().split('\n')
}

async function fileIn(archive: string, name: string): Promise<unknown> {
  return JSON.parse(await checkTool('tar', ['-xOf', archive, name]))
}

describe('an archive of several images', () => {
  test('has what they share once, and each under its names', async () => {
    await tag('one:1', 'quay.io/x/also', { store })
    const output = directory.join('out.tar')
    await save(['one:1', 'two:2', 'quay.io/x/also'], { store, output })
    const names = await listing(output)
    expect(names).toEqual([...new Set(names)])
    // Two layers, two configs, two manifests.
    expect(names.filter((name) => /^blobs\/sha256\/.+/.test(name)).length).toBe(6)
    expect(await fileIn(output, 'manifest.json')).toMatchObject([
      { RepoTags: ['one:1', 'quay.io/x/also:latest'], Layers: [expect.any(String)] },
      { RepoTags: ['two:2'], Layers: [expect.any(String), expect.any(String)] },
    ])
    const { manifests } = (await fileIn(output, 'index.json')) as {
      readonly manifests: readonly { readonly annotations: Readonly<Record<string, string>> }[]
    }
    expect(manifests.map(({ annotations }) => annotations)).toEqual([
      { 'io.containerd.image.name': 'docker.io/library/one:1', 'org.opencontainers.image.ref.name': '1' },
      { 'io.containerd.image.name': 'quay.io/x/also:latest', 'org.opencontainers.image.ref.name': 'latest' },
      { 'io.containerd.image.name': 'docker.io/library/two:2', 'org.opencontainers.image.ref.name': '2' },
    ])
  })

  test.each(['docker-archive', 'oci-archive', 'oci-dir'] as const)(
    'comes back as the same images from %s',
    async (format) => {
      const output = directory.join('out')
      await save(['one:1', 'two:2'], { store, output, format })
      const other = `${store}-2`
      await load({ store: other, input: output })
      const seen = async (home: string) => (await images({ store: home })).map(({ id, digest }) => `${id} ${digest}`)
      expect((await seen(other)).toSorted()).toEqual((await seen(store)).toSorted())
    },
  )
})

test('an image that is named by its id has no name in the archive', async () => {
  const [image] = (await images({ store })).filter(({ repository }) => repository === 'one')
  const output = directory.join('out.tar')
  await save([image!.id], { store, output })
  expect(await fileIn(output, 'manifest.json')).toMatchObject([{ RepoTags: null }])
})

test('on standard output it is the same archive', async () => {
  const output = directory.join('out.tar')
  await save(['two:2'], { store, output })
  const stdout = new PassThrough()
  const [bytes] = await Promise.all([buffer(stdout), save(['two:2'], { store, stdout }).then(() => stdout.end())])
  expect(bytes.equals(readFileSync(output))).toBe(true)
})

test('an image that is not there leaves nothing behind', async () => {
  const output = directory.join('out.tar')
  await expect(save(['one:1', 'none'], { store, output })).rejects.toMatchObject({ code: 'OCI_IMAGE_NOT_FOUND' })
  expect(existsSync(output)).toBe(false)
})

test('an image for another platform than the one that is asked for is not taken', async () => {
  const saving = save(['one:1'], { store, output: directory.join('x'), platform: 'linux/s390x' })
  await expect(saving).rejects.toMatchObject({ code: 'OCI_PLATFORM_NOT_FOUND', hint: 'it is for linux/amd64' })
})

test.each([
  [{ format: 'oci-dir' }, ['one:1'], /needs a directory/],
  [{ format: 'docker-dir', output: 'x' }, ['one:1', 'two:2'], /room for one image/],
  [{}, [], /no image is named/],
] as const)('%j of %j is refused', async (options, names, message) => {
  await expect(save(names, { store, ...options })).rejects.toMatchObject({
    code: 'OCI_OPTION_INVALID',
    message: expect.stringMatching(message),
  })
})

describe('other tools read', () => {
  testWith(['skopeo'], 'every format', async () => {
    for (const format of ['docker-archive', 'oci-archive', 'oci-dir', 'docker-dir'] as const) {
      const output = directory.join(format)
      await save(['two:2'], { store, output, format })
      const transport = { 'oci-dir': 'oci', 'docker-dir': 'dir' }[format as string] ?? format
      const config = await checkTool('skopeo', ['inspect', '--config', `${transport}:${output}`])
      expect(JSON.parse(config)).toMatchObject({ rootfs: { diff_ids: [expect.any(String), expect.any(String)] } })
      await checkTool('skopeo', ['copy', '-q', `${transport}:${output}`, `dir:${directory.join(`${format}-copy`)}`])
    }
  })

  testWith(['umoci', 'root'], 'a layout', async () => {
    await save(['two:2'], { store, output: directory.join('layout'), format: 'oci-dir' })
    await checkTool('umoci', ['unpack', '--image', `${directory.join('layout')}:2`, directory.join('bundle')])
    expect(readdirSync(directory.join('bundle/rootfs')).toSorted()).toEqual(['a', 'b'])
  })
})

describe('we read what others wrote', () => {
  testWith(['skopeo'], 'skopeo in every format', async () => {
    await save(['two:2'], { store, output: directory.join('layout'), format: 'oci-dir' })
    const [wanted] = (await images({ store })).filter(({ repository }) => repository === 'two')
    const places = [
      `docker-archive:${directory.join('s1')}:two:2`,
      `oci-archive:${directory.join('s2')}:two:2`,
      `oci:${directory.join('s3')}`,
      `dir:${directory.join('s4')}`,
    ]
    for (const [index, place] of places.entries()) {
      await checkTool('skopeo', ['copy', '-q', `oci:${directory.join('layout')}`, place])
      const loaded = await load({ store: directory.join(`store-${index}`), input: directory.join(`s${index + 1}`) })
      expect(loaded.map(({ id }) => id)).toEqual([wanted!.id])
    }
  })
})
