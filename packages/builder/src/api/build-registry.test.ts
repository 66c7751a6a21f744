import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith, startFaultyProxy, startRegistry, startStandIn, type Fault } from '@ts-oci/testing'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'
import { history, images } from './images.ts'
import { describe } from '../oci/descriptor.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { Manifest } from '../oci/types.ts'
import type { BuildOptions } from '../build/public-types.ts'
import { createRegistryClient } from '../registry/index.ts'

describeWith(buildNeeds, 'a base from a registry', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** Builds through a faulty line, says what went wrong, then builds over a good one with the same store. */
  async function buildThrough(name: string, fault: Fault, retries = 0): Promise<unknown> {
    const isLayer = /\/blobs\/sha256:/
    let first: string | undefined
    await using proxy = await startFaultyProxy(world.registry.host, ({ path, method }) => {
      if (method !== 'GET' || !isLayer.test(path)) return undefined
      // The config comes first, the layer after it.
      first ??= path
      return path === first ? undefined : fault
    })
    const store = world.directory.join(`store-${name}`)
    const context = await world.context(name, { Dockerfile: 'ARG HOST\nFROM $HOST/busybox:1\nRUN echo ok > /ok\n' })
    const failed = await world.build(context, { store, retries, tags: [name], buildArgs: { HOST: proxy.host } }).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(await images({ store })).toEqual([])
    expect(readdirSync(join(store, 'tmp'))).toEqual([])
    const layers = readdirSync(join(store, 'blobs/sha256'))
    // Manifest and config were good; of the layer nothing is visible.
    expect(layers).toHaveLength(2)
    const good = await world.build(context, { store, tags: [name], buildArgs: { HOST: world.registry.host } })
    expect(verticesOf(good, 'ran')).toContain('RUN echo ok > /ok')
    return failed
  }

  test('a layer whose bytes were changed is refused', async () => {
    expect(await buildThrough('flip', { flipByte: 100_000 })).toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
      message: expect.stringContaining('sha256:'),
      hint: expect.any(String),
    })
  })

  test('a layer that is cut off is refused', async () => {
    expect(await buildThrough('cut', { cutResponseAfter: 200_000 })).toMatchObject({
      code: expect.stringMatching(/^OCI_(REGISTRY|DIGEST)_/),
      hint: expect.any(String),
    })
  })

  test('a layer that the registry has lost is named', async () => {
    expect(await buildThrough('lost', { status: 404 })).toMatchObject({
      code: 'OCI_REGISTRY_NOT_FOUND',
      message: expect.stringContaining('sha256:'),
    })
  })

  test('a layer that is cut off once is fetched again', async () => {
    let cuts = 0
    await using proxy = await startFaultyProxy(world.registry.host, ({ path, method }) =>
      method === 'GET' && path.includes('/blobs/') && cuts++ === 1 ? { cutResponseAfter: 50_000 } : undefined,
    )
    const context = await world.context('again', { Dockerfile: 'ARG HOST\nFROM $HOST/busybox:1\nRUN true\n' })
    await world.build(context, { store: world.directory.join('store-again'), buildArgs: { HOST: proxy.host } })
    expect(cuts).toBeGreaterThan(2)
  })

  test('a name that the registry does not have is asked for and told once', async () => {
    const context = await world.context('none', { Dockerfile: `FROM ${world.registry.host}/nosuch:9\n` })
    const told: string[] = []
    const onProgress: BuildOptions['onProgress'] = (event) => {
      if (event.type === 'vertex' && event.error !== undefined) told.push(event.name)
    }
    await expect(world.build(context, { onProgress })).rejects.toMatchObject({
      code: 'OCI_REGISTRY_NOT_FOUND',
      message: expect.stringContaining('nosuch:9'),
      location: { startLine: 1 },
    })
    expect(told).toEqual([`[internal] load metadata for ${world.registry.host}/nosuch:9`])
  })

  test('a push beside an output that is a file sends the image as well', async () => {
    const { host } = world.registry
    const context = await world.context('push-beside', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' })
    const store = world.directory.join('store-push-beside')
    const dest = world.directory.join('push-beside.tar')
    await world.build(context, { store, tags: [`${host}/beside:1`], push: true, outputs: [{ type: 'oci', dest }] })
    expect(existsSync(dest)).toBe(true)
    await using client = createRegistryClient({ environment: {} })
    await client.fetchManifest(client.repository(`${host}/beside`), '1')
  })

  test('a push to another repository of the registry sends nothing that went there before', async () => {
    const store = world.directory.join('store-mounts')
    const { host } = world.registry
    const context = await world.context('mounts', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /x\n' })
    await world.build(context, { store, tags: [`${host}/first/app:1`], push: true })
    const before = world.registry.requests().length
    await world.build(context, { store, tags: [`${host}/second/app:1`, `${host}/third:1`], push: true })
    const sent = world.registry.requests().slice(before)
    expect(sent.filter((request) => /^(?:PATCH|PUT) \S+\/blobs\//.test(request))).toEqual([])
    // A layer and a config, to two repositories.
    expect(
      sent.filter((request) => /^POST \S+mount=sha256\S+from=(?:first%2Fapp|second%2Fapp) 201$/.test(request)),
    ).toHaveLength(4)
  })

  test('a COPY onto a base of the registry is pushed by mounting its layers: none is fetched, and none sent', async () => {
    const { host } = world.registry
    const store = world.directory.join('store-copy-only')
    const context = await world.context('copy-only', {
      Dockerfile: 'FROM $BASE\nENV A=1\nCOPY --link Dockerfile /x/\n',
    })
    const before = world.registry.requests().length
    await world.build(context, { store, tags: [`${host}/copy-only:1`], push: true })
    const made = world.registry.requests().slice(before)
    await using client = createRegistryClient({ environment: {} })
    const { layers } = await manifestOf(client, host, 'busybox')
    const pushed = await manifestOf(client, host, 'copy-only')
    expect(pushed.layers.slice(0, layers.length)).toEqual(layers)
    for (const { digest } of layers) {
      const about = made.filter((request) => request.includes(digest.slice('sha256:'.length)))
      expect(about).toEqual([expect.stringMatching(/^POST \/v2\/copy-only\/blobs\/uploads\/\?\S*from=busybox\S* 201$/)])
    }
    // Its own layer and config.
    expect(made.filter((request) => request.startsWith('PUT /v2/copy-only/blobs/'))).toHaveLength(2)
  })

  test('a push mounts from no repository that has lost the blob', async () => {
    const store = world.directory.join('store-lost-mount')
    const context = await world.context('lost-mount', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /lost\n' })
    await using other = await startRegistry()
    const line = await startFaultyProxy(other.host, () => undefined)
    await world.build(context, { store, tags: [`${line.host}/first:1`], push: true })
    await line.stop()
    await using fresh = await startRegistry()
    await using again = await startFaultyProxy(fresh.host, () => undefined, line.port)
    await world.build(context, { store, tags: [`${again.host}/second:1`], push: true })
    expect(fresh.requests().some((request) => /^PUT \/v2\/second\/manifests\/1 201$/.test(request))).toBe(true)
  })

  test('a base without a history gets one in the words of BuildKit', async () => {
    const { host } = world.registry
    await using client = createRegistryClient()
    const repository = client.repository(`${host}/busybox:1`)
    const { bytes } = await client.fetchManifest(repository, '1')
    const { manifest, mediaType } = parseManifest(bytes)
    const chunks: Uint8Array[] = []
    for await (const chunk of client.fetchBlob(repository, manifest.config)) chunks.push(chunk)
    const { history: _history, ...config } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<
      string,
      unknown
    >
    const data = Buffer.from(JSON.stringify(config))
    const descriptor = describe(data, manifest.config.mediaType)
    await client.uploadBlob(repository, descriptor, {
      open: async function* () {
        yield data
      },
    })
    const document = Buffer.from(JSON.stringify({ ...manifest, config: descriptor }))
    const digest = await client.putManifest(repository, 'bare', { bytes: document, mediaType })
    const context = await world.context('bare', { Dockerfile: `FROM ${host}/busybox:bare\nRUN touch /x\n` })
    const store = world.directory.join('store-bare')
    await world.build(context, { store, tags: ['bare'] })
    // What compare.py showed of BuildKit: the entry of the step goes to the first layer, the others get one each.
    expect((await history('bare', { store })).map(({ createdBy, comment }) => [createdBy, comment])).toEqual([
      ['mount / from exec /bin/sh -c touch /x', 'buildkit.exporter.image.v0'],
      ['RUN /bin/sh -c touch /x # buildkit', 'buildkit.dockerfile.v0'],
    ])
    const plain = await world.context('bare-plain', { Dockerfile: `FROM ${host}/busybox:bare\nENV A=1\n` })
    await world.build(plain, { store, tags: ['plain'] })
    expect((await history('plain', { store })).map(({ createdBy }) => createdBy)).toEqual([
      `pulled from ${host}/busybox:bare@${digest}`,
      'ENV A=1',
    ])
  })

  test('the signal ends a pull from a registry that answers nothing more', async () => {
    await using silent = await startStandIn(() => undefined)
    const context = await world.context('silent', { Dockerfile: `FROM ${silent.host}/silent:1\nRUN true\n` })
    const stop = new AbortController()
    const building = world.build(context, { signal: stop.signal })
    while (silent.seen.length === 0) await delay(10)
    const startMs = Date.now()
    stop.abort()
    await expect(building).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    // The registry would be given minutes.
    expect(Date.now() - startMs).toBeLessThan(10_000)
  })

  test('what only needs the manifest never fetches a layer; an archive completes the image', async () => {
    const before = world.registry.requests().length
    const store = world.directory.join('store-lazy')
    const context = await world.context('lazy', { Dockerfile: 'FROM $BASE\nENV A=1\nCOPY --link Dockerfile /x/\n' })
    await world.build(context, { store, tags: ['lazy'] })
    expect(
      world.registry
        .requests()
        .slice(before)
        .filter((request) => request.startsWith('GET') && request.includes('/blobs/')),
    ).toHaveLength(1)
    expect(readdirSync(join(store, 'snapshots'))).toEqual([])
    await world.build(context, { store, outputs: [{ type: 'oci', dest: world.directory.join('lazy'), tar: 'false' }] })
    const { validateLayout } = await import('../oci/validate.test.helper.ts')
    expect(await validateLayout(world.directory.join('lazy'))).toEqual([])
    expect(existsSync(join(world.directory.join('lazy'), 'blobs'))).toBe(true)
  })
})

async function manifestOf(
  client: ReturnType<typeof createRegistryClient>,
  host: string,
  name: string,
): Promise<Manifest> {
  const { bytes } = await client.fetchManifest(client.repository(`${host}/${name}`), '1')
  return parseManifest(bytes).manifest
}
