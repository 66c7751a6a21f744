import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  checkTool,
  describeWith,
  startRegistry,
  temporaryDirectory,
  type Registry,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { layerOf, oldDockerArchive, writeArchiveFile } from './archives.test.helper.ts'
import { copy } from './copy.ts'
import { images } from './images.ts'
import { load } from './load.ts'
import { push } from './transfer.ts'

let directory: TemporaryDirectory
let store: string
let number = 0
beforeAll(async () => {
  directory = await temporaryDirectory()
  store = directory.join('store')
  const entries = oldDockerArchive([{ layers: [layerOf('a', 'lower'), layerOf('b', 'upper')], names: ['app:1'] }])
  await load({ store, input: writeArchiveFile(directory.join('in.tar'), entries) })
})
afterAll(async () => directory[Symbol.asyncDispose]())

function fresh(): string {
  return directory.join(`new-${number++}`)
}

describe('a copy that converts nothing keeps the digest', () => {
  test.each(['oci', 'oci-archive', 'dir', 'docker-archive', 'store'])('through %s and back', async (transport) => {
    const [{ digest } = { digest: '' }] = await images({ store })
    const place = transport === 'store' ? 'store:other:1' : `${transport}:${fresh()}`
    expect((await copy('store:app:1', place, { store })).digest).toBe(digest)
    const back = await copy(place, 'store:back:1', { store, preserveDigests: true })
    expect(back.digest).toBe(digest)
  })
})

test('a layout keeps its other images, under the name that each was given', async () => {
  const layout = fresh()
  await copy('store:app:1', `oci:${layout}:one`, { store })
  await copy('store:app:1', `oci:${layout}:two`, { store })
  await copy(`oci:${layout}:two`, `dir:${fresh()}`, { store })
  await expect(copy(`oci:${layout}:three`, `dir:${fresh()}`, { store })).rejects.toMatchObject({
    code: 'OCI_IMAGE_NOT_FOUND',
    hint: 'it has one, two',
  })
})

test('a directory that is written over is never there in part', async () => {
  const layers = Array.from({ length: 25 }, (_, index) => layerOf(`f${index}`, `${index}`))
  const input = writeArchiveFile(directory.join('many.tar'), oldDockerArchive([{ layers, names: ['many:1'] }]))
  await load({ store, input })
  const path = fresh()
  await copy('store:many:1', `dir:${path}`, { store })
  const whole = readdirSync(path)
  expect(whole.length).toBeGreaterThan(25)
  const seen: string[][] = []
  let copying = true
  const watching = (async () => {
    for (; copying; await setImmediate()) if (existsSync(path)) seen.push(readdirSync(path))
  })()
  await copy('store:many:1', `dir:${path}`, { store }).finally(() => (copying = false))
  await watching
  expect(seen.length).toBeGreaterThan(1)
  for (const names of seen) expect(names.toSorted()).toEqual(whole.toSorted())
  expect(readdirSync(directory.path).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

test('a directory that holds anything else is not written over', async () => {
  const path = directory.join('precious')
  writeFileSync(path, 'x')
  await expect(copy('store:app:1', `dir:${path}`, { store })).rejects.toMatchObject({ code: 'OCI_EXPORT_FAILED' })
  await expect(copy('store:app:1', `dir:${directory.path}`, { store })).rejects.toMatchObject({
    code: 'OCI_EXPORT_FAILED',
  })
  expect(readFileSync(path, 'utf8')).toBe('x')
})

test.each([
  ['busybox', 'OCI_OPTION_INVALID', /names no transport/],
  ['dokcer://busybox', 'OCI_OPTION_INVALID', /names no transport/],
  ['docker:busybox', 'OCI_OPTION_INVALID', /names no registry/],
  ['oci:', 'OCI_OPTION_INVALID', /names no path/],
  ['ostree:x', 'OCI_OPTION_UNSUPPORTED', /ostree: is not supported/],
  ['containers-storage:[overlay@/x]y', 'OCI_OPTION_UNSUPPORTED', /storage of its own/],
  ['docker-daemon:', 'OCI_REFERENCE_INVALID', /./],
])('the place %s is refused', async (place, code, message) => {
  await expect(copy(place, `dir:${fresh()}`, { store })).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  })
})

test('a digest that is to be preserved forbids a conversion', async () => {
  const copying = copy('store:app:1', `dir:${fresh()}`, { store, format: 'v2s2', preserveDigests: true })
  await expect(copying).rejects.toMatchObject({ code: 'OCI_OPTION_INVALID' })
})

test('an auth file that is not there is told, whichever place it is for', async () => {
  const authFile = directory.join('none.json')
  for (const options of [{ authFile }, { from: { authFile } }])
    await expect(copy('docker://localhost:1/a', `dir:${fresh()}`, { store, ...options })).rejects.toMatchObject({
      code: 'OCI_CREDENTIALS',
    })
})

describeWith(['docker-registry'], 'with registries', () => {
  let registry: Registry
  beforeAll(async () => (registry = await startRegistry()))
  afterAll(async () => registry.stop())

  const docker = (name: string): string => `docker://${registry.host}/${name}`

  test('the store is sent as push sends it', async () => {
    const pushed = await push('app:1', { store, destination: `${registry.host}/pushed:1` })
    expect((await copy('store:app:1', docker('copied:1'), { store })).digest).toBe(pushed.digest)
  })

  test('between repositories of one registry blobs are mounted, and no store is made', async () => {
    await push('app:1', { store, destination: `${registry.host}/a:1` })
    const before = registry.requests().length
    const none = fresh()
    const { digest } = await copy(docker('a:1'), docker('b:1'), { store: none })
    const requests = registry.requests().slice(before)
    expect(requests.filter((line) => /^GET .*\/blobs\//.test(line)).length).toBe(1)
    expect(requests.filter((line) => line.startsWith('PUT') && line.includes('/blobs/'))).toEqual([])
    expect(requests.filter((line) => /mount=/.test(line)).length).toBe(3)
    expect(existsSync(none)).toBe(false)
    expect((await copy(docker('b:1'), `dir:${fresh()}`, { store: none })).digest).toBe(digest)
  })

  test('to another registry the same bytes go, and nothing lies on the disk', async () => {
    await using other = await startRegistry()
    await push('app:1', { store, destination: `${registry.host}/a:1` })
    const none = fresh()
    const { digest } = await copy(docker('a:1'), `docker://${other.host}/x/y:2`, { store: none })
    const back = await copy(`docker://${other.host}/x/y:2`, `oci:${fresh()}`, { store: none })
    expect(back.digest).toBe(digest)
    expect(existsSync(none)).toBe(false)
  })

  test('a registry that asks who is there gets what was given for it, and nobody else does', async () => {
    await using guarded = await startRegistry({ auth: 'basic' })
    const { user: username, password } = guarded.credentials!
    const target = `docker://${guarded.host}/a:1`
    await push('app:1', { store, destination: `${registry.host}/a:1` })
    await expect(copy(docker('a:1'), target, { store })).rejects.toMatchObject({ code: 'OCI_REGISTRY_UNAUTHORIZED' })
    await copy(docker('a:1'), target, { store, to: { credentials: { username, password } } })
    await copy(target, `dir:${fresh()}`, { store, from: { credentials: { username, password } } })
    const wrong = copy(target, `dir:${fresh()}`, { store, from: { credentials: { username, password: 'other' } } })
    await expect(wrong).rejects.toMatchObject({ code: 'OCI_REGISTRY_UNAUTHORIZED' })
  })

  test.each([
    [{ compression: 'zstd' }, /\.tar\+zstd$/],
    [{ compression: 'none' }, /\.layer\.v1\.tar$/],
    [{ format: 'v2s2' }, /^application\/vnd\.docker\.image\.rootfs\.diff\.tar\.gzip$/],
  ] as const)('%j says what its layers are', async (options, mediaType) => {
    await push('app:1', { store, destination: `${registry.host}/a:1` })
    const path = fresh()
    const { digest } = await copy(docker('a:1'), `dir:${path}`, { store, ...options })
    const manifest = JSON.parse(readFileSync(`${path}/manifest.json`, 'utf8')) as {
      readonly layers: readonly { readonly mediaType: string }[]
    }
    for (const layer of manifest.layers) expect(layer.mediaType).toMatch(mediaType)
    // What came of it is an image that another place takes, verified to its last byte.
    expect((await copy(`dir:${path}`, `store:converted:${number}`, { store })).digest).toBe(digest)
  })

  describeWith(['skopeo'], 'of several platforms', () => {
    test('one is taken, all are, or the index alone', async () => {
      const arm = JSON.stringify({
        architecture: 'arm64',
        os: 'linux',
        config: {},
        rootfs: { type: 'layers', diff_ids: [] },
      })
      const manifests: object[] = []
      for (const [architecture, image] of [
        ['amd64', 'app:1'],
        ['arm64', undefined],
      ] as const) {
        const place = `${registry.host}/multi:${architecture}`
        if (image === undefined) {
          const list = [{ Config: 'c.json', RepoTags: ['arm:1'], Layers: [] }]
          await load({
            store,
            input: writeArchiveFile(directory.join('arm.tar'), [
              { name: 'c.json', data: arm },
              { name: 'manifest.json', data: JSON.stringify(list) },
            ]),
          })
        }
        const { digest, sizeBytes } = await push(image ?? 'arm:1', { store, destination: place })
        const mediaType = 'application/vnd.oci.image.manifest.v1+json'
        manifests.push({ mediaType, digest, size: sizeBytes, platform: { os: 'linux', architecture } })
      }
      const mediaType = 'application/vnd.oci.image.index.v1+json'
      const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests })
      const put = await fetch(`http://${registry.host}/v2/multi/manifests/1`, {
        method: 'PUT',
        headers: { 'content-type': mediaType },
        body,
      })
      expect(put.status).toBe(201)
      const one = await copy(docker('multi:1'), docker('one:1'), { platform: 'linux/arm64' })
      expect(one.digest).toBe((manifests[1] as { readonly digest: string }).digest)
      const path = fresh()
      const all = await copy(docker('multi:1'), `oci:${path}:all`, { multiArch: 'all' })
      expect(all.digest).toBe(put.headers.get('docker-content-digest'))
      await checkTool('skopeo', ['copy', '-q', '--all', `oci:${path}:all`, `dir:${fresh()}`])
      const alone = fresh()
      await copy(docker('multi:1'), `dir:${alone}`, { multiArch: 'index-only' })
      expect(readdirSync(alone).toSorted()).toEqual(['manifest.json', 'version'])
      await expect(copy(docker('multi:1'), `docker-archive:${fresh()}`, { multiArch: 'all' })).rejects.toMatchObject({
        code: 'OCI_OPTION_UNSUPPORTED',
      })
      await expect(copy(docker('multi:1'), `dir:${fresh()}`, { platform: 'linux/s390x' })).rejects.toMatchObject({
        code: 'OCI_PLATFORM_NOT_FOUND',
      })
    })
  })
})
