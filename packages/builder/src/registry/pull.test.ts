import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import {
  checkTool,
  makeBusyboxBase,
  manifestOf,
  pushBase,
  startFaultyProxy,
  startRegistry,
  temporaryDirectory,
  testWith,
  writeImageLayout,
} from '@ts-oci/testing'
import { openStore } from '../store/store.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/types.ts'
import { createRegistryClient } from './client.ts'
import type { RegistryClientOptions } from './options.ts'
import { pullLayer, pullManifest } from './pull.ts'

const tools = ['docker-registry', 'skopeo', 'busybox', 'tar']
const amd64: Platform = { os: 'linux', architecture: 'amd64' }
const noFiles = { HOME: '/nonexistent', PATH: process.env['PATH'] }
const quick: RegistryClientOptions = { environment: noFiles, retries: 2, retryDelayMs: 1 }

testWith(
  tools,
  'an image comes from a real registry with its manifest, config and layers as skopeo sees them',
  async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await using store = await openStore({ root: directory.join('store') })
    await using client = createRegistryClient(quick)
    const base = await makeBusyboxBase(directory.join('busybox'))
    const reference = await pushBase(base, registry, 'library/busybox:1')
    const image = await pullManifest(client, reference, { blobs: store.blobs, platform: await platformOf(reference) })
    const raw = await checkTool('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${reference}`])
    expect(Buffer.from(image.manifestBytes).toString()).toBe(raw)
    expect(image.configDigest).toBe((await manifestOf(base)).config.digest)
    const seen: Uint8Array[] = []
    const progress: number[] = []
    const [layer] = image.manifest.layers
    const result = await pullLayer(client, layer!, [reference], {
      blobs: store.blobs,
      onChunk: (chunk) => void seen.push(chunk),
      onProgress: (current) => void progress.push(current),
    })
    expect(result).toEqual({ fetched: true })
    const original = await readFile(`${directory.join('busybox')}/blobs/${layer!.digest.replace(':', '/')}`)
    expect(await readFile(store.blobs.path(layer!.digest))).toEqual(original)
    expect(Buffer.concat(seen)).toEqual(original)
    expect(progress.at(-1)).toBe(layer!.size)
    expect(await pullLayer(client, layer!, [reference], { blobs: store.blobs })).toEqual({ fetched: false })
  },
)

testWith(tools, 'a layer that is asked for twice at once travels once', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry()
  await using store = await openStore({ root: directory.join('store') })
  await using client = createRegistryClient(quick)
  await using line = await startFaultyProxy(registry.host, () => undefined)
  await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'busybox:1')
  const reference = `${line.host}/busybox:1`
  const image = await pullManifest(client, reference, { blobs: store.blobs, platform: amd64 })
  const [layer] = image.manifest.layers
  const both = await Promise.all([1, 2].map(() => pullLayer(client, layer!, [reference], { blobs: store.blobs })))
  expect(both.map((one) => one.fetched)).toEqual([true, false])
  expect(line.seen.filter((request) => request.path.endsWith(layer!.digest))).toHaveLength(1)
})

testWith(tools, 'a reference with a digest that the store holds makes no request', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry()
  await using store = await openStore({ root: directory.join('store') })
  const reference = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'busybox:1')
  await using first = createRegistryClient(quick)
  const { digest } = await pullManifest(first, reference, { blobs: store.blobs, platform: amd64 })
  await registry.stop()
  await using second = createRegistryClient(quick)
  expect(
    (await pullManifest(second, `${registry.host}/busybox@${digest}`, { blobs: store.blobs, platform: amd64 })).digest,
  ).toBe(digest)
})

testWith(tools, 'a tag that still points to what the store holds costs one HEAD', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry()
  await using store = await openStore({ root: directory.join('store') })
  await using line = await startFaultyProxy(registry.host, () => undefined)
  await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'busybox:1')
  const reference = `${line.host}/busybox:1`
  await using first = createRegistryClient(quick)
  const { digest } = await pullManifest(first, reference, { blobs: store.blobs, platform: amd64 })
  const before = line.seen.length
  await using second = createRegistryClient(quick)
  await pullManifest(second, reference, { blobs: store.blobs, platform: amd64, knownDigest: digest })
  const requests = line.seen.slice(before).map(({ method, path }) => `${method} ${path}`)
  // The first asks whether loopback speaks plain HTTP.
  expect(requests).toEqual(['GET /v2/', 'HEAD /v2/busybox/manifests/1'])
})

testWith(
  tools,
  'of an index the platform that was asked for is taken, and a missing one is named with those that are there',
  async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await using store = await openStore({ root: directory.join('store') })
    await using client = createRegistryClient(quick)
    const reference = await pushTwoPlatforms(directory.path, registry.host)
    for (const [architecture, word] of [
      ['amd64', 'for amd64'],
      ['arm64', 'for arm64'],
    ] as const) {
      const image = await pullManifest(client, reference, {
        blobs: store.blobs,
        platform: { os: 'linux', architecture },
      })
      expect([image.config.architecture, image.config.config?.Labels]).toEqual([architecture, { word }])
      expect(image.digest).not.toBe(image.manifestDigest)
    }
    await expect(
      pullManifest(client, reference, { blobs: store.blobs, platform: { os: 'linux', architecture: 's390x' } }),
    ).rejects.toMatchObject({
      code: 'OCI_PLATFORM_NOT_FOUND',
      hint: expect.stringContaining('linux/amd64, linux/arm64'),
    })
  },
)

describe('a bad line', () => {
  testWith(tools, 'a blob that is cut off again and again is taken up where it ended', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await using store = await openStore({ root: directory.join('store') })
    const name = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'busybox:1')
    const ranges: (string | undefined)[] = []
    await using proxy = await startFaultyProxy(registry.host, (request) => {
      if (!request.path.includes('/blobs/')) return undefined
      ranges.push(request.headers.range)
      return ranges.length <= 4 ? { cutResponseAfter: 100_000 } : undefined
    })
    await using client = createRegistryClient(quick)
    const reference = name.replace(registry.host, proxy.host)
    const layer = await layerOf(directory.join('busybox'))
    const seen: Uint8Array[] = []
    await pullLayer(client, layer, [reference], { blobs: store.blobs, onChunk: (chunk) => void seen.push(chunk) })
    expect(ranges).toEqual([undefined, ...[1, 2, 3, 4].map((part) => `bytes=${part}00000-${layer.size - 1}`)])
    expect(Buffer.concat(seen)).toEqual(await readFile(store.blobs.path(layer.digest)))
  })

  testWith(
    tools,
    'a server that does not know ranges is read again from its beginning, and nothing comes twice',
    async () => {
      await using directory = await temporaryDirectory()
      await using registry = await startRegistry()
      await using store = await openStore({ root: directory.join('store') })
      const name = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'busybox:1')
      let count = 0
      await using proxy = await startFaultyProxy(registry.host, (request) => {
        if (!request.path.includes('/blobs/')) return undefined
        delete request.headers.range
        return count++ === 0 ? { cutResponseAfter: 150_000 } : undefined
      })
      await using client = createRegistryClient(quick)
      const layer = await layerOf(directory.join('busybox'))
      let bytes = 0
      await pullLayer(client, layer, [name.replace(registry.host, proxy.host)], {
        blobs: store.blobs,
        onChunk: (chunk) => void (bytes += chunk.length),
      })
      expect([bytes, count]).toEqual([layer.size, 2])
    },
  )

  testWith(tools, 'one altered byte is found, and nothing of it stays in the store', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await using store = await openStore({ root: directory.join('store') })
    const name = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'busybox:1')
    await using proxy = await startFaultyProxy(registry.host, () => ({ flipByte: 60 }))
    await using client = createRegistryClient(quick)
    const reference = name.replace(registry.host, proxy.host)
    const layer = await layerOf(directory.join('busybox'))
    await expect(pullLayer(client, layer, [reference], { blobs: store.blobs })).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
      message: expect.stringContaining(`${proxy.host}/busybox`),
    })
    const fail = (): never => {
      throw new Error('an altered tar')
    }
    await expect(pullLayer(client, layer, [reference], { blobs: store.blobs, onChunk: fail })).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
    })
    await expect(pullManifest(client, reference, { blobs: store.blobs, platform: amd64 })).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
    })
    expect(await filesOf(store.root)).toEqual([])
  })

  testWith(tools, 'a registry that asks for patience gets it', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await using store = await openStore({ root: directory.join('store') })
    const name = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'busybox:1')
    let refusals = 0
    await using proxy = await startFaultyProxy(registry.host, (request) =>
      request.path.includes('/manifests/') && refusals++ < 2
        ? { status: refusals === 1 ? 429 : 503, headers: { 'retry-after': '0' } }
        : undefined,
    )
    await using client = createRegistryClient(quick)
    await pullManifest(client, name.replace(registry.host, proxy.host), { blobs: store.blobs, platform: amd64 })
    expect(refusals).toBe(3)
  })

  testWith(tools, 'a canceled pull ends at once and leaves nothing', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await using store = await openStore({ root: directory.join('store') })
    await using client = createRegistryClient(quick)
    const reference = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'busybox:1')
    const abort = new AbortController()
    const pulling = pullLayer(client, await layerOf(directory.join('busybox')), [reference], {
      blobs: store.blobs,
      signal: abort.signal,
      onChunk: () => abort.abort(),
    })
    await expect(pulling).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    expect(await filesOf(store.root)).toEqual([])
  })
})

/** What a store holds, finished or not. */
async function filesOf(root: string): Promise<string[]> {
  return [...(await readdir(`${root}/blobs/sha256`)), ...(await readdir(`${root}/tmp`))]
}

async function layerOf(layout: string): Promise<{ mediaType: string; digest: Digest; size: number }> {
  const [layer] = (await manifestOf({ layout })).layers
  return {
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: layer!.digest as Digest,
    size: layer!.size,
  }
}

async function platformOf(reference: string): Promise<Platform> {
  const text = await checkTool('skopeo', ['inspect', '--tls-verify=false', '--config', `docker://${reference}`])
  const { os, architecture } = JSON.parse(text) as Platform
  return { os, architecture }
}

/** An index of two images, pushed by skopeo. */
async function pushTwoPlatforms(directory: string, host: string): Promise<string> {
  const layout = `${directory}/two`
  const manifests: object[] = []
  for (const architecture of ['amd64', 'arm64']) {
    await writeImageLayout(layout, {
      layers: [Buffer.alloc(1024)],
      architecture,
      config: { Labels: { word: `for ${architecture}` } },
    })
    const {
      manifests: [entry],
    } = JSON.parse(await readFile(`${layout}/index.json`, 'utf8')) as {
      manifests: [{ mediaType: string; digest: string; size: number }]
    }
    manifests.push({
      mediaType: entry.mediaType,
      digest: entry.digest,
      size: entry.size,
      platform: { os: 'linux', architecture },
    })
  }
  const index = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }),
  )
  const digest = createHash('sha256').update(index).digest('hex')
  await writeFile(`${layout}/blobs/sha256/${digest}`, index)
  const entry = {
    mediaType: 'application/vnd.oci.image.index.v1+json',
    digest: `sha256:${digest}`,
    size: index.length,
    annotations: { 'org.opencontainers.image.ref.name': 'two' },
  }
  await writeFile(`${layout}/index.json`, JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
  const reference = `${host}/two:1`
  await checkTool('skopeo', [
    '--insecure-policy',
    'copy',
    '--all',
    '--dest-tls-verify=false',
    `oci:${layout}:two`,
    `docker://${reference}`,
  ])
  return reference
}

test('a layer that no registry is known for is refused by name', async () => {
  await using directory = await temporaryDirectory()
  await using store = await openStore({ root: directory.join('store') })
  await using client = createRegistryClient(quick)
  const digest = `sha256:${'a'.repeat(64)}` as Digest
  await expect(pullLayer(client, { mediaType: '', digest, size: 1 }, [], { blobs: store.blobs })).rejects.toMatchObject(
    { code: 'OCI_BLOB_NOT_FOUND' },
  )
})
