import { describe, expect, test } from '@jest/globals'
import { type StandIn, startStandIn, temporaryDirectory } from '@ts-oci/testing'
import { digestOf } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'
import { openStore } from '../store/store.ts'
import { createRegistryClient } from './client.ts'
import { pullLayer } from './pull.ts'

const content = Buffer.alloc(2000, 'layer')
const layer: Descriptor = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: digestOf(content),
  size: content.length,
}

/** Answers what `isHeld` names only when the test says. */
async function heldRegistry(isHeld: (url: string) => boolean): Promise<StandIn & { letGo: () => void }> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const registry = await startStandIn(async (request, response) => {
    const { url = '' } = request
    response.writeHead(200, url === '/v2/' ? {} : { 'content-length': content.length }).flushHeaders()
    if (isHeld(url)) await promise
    response.end(url === '/v2/' ? '{}' : content)
  })
  return Object.assign(registry, { letGo: resolve })
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setTimeout(done, 5))
}

describe('callers of one client', () => {
  test('who finds out how a registry is spoken to may leave: the others are told', async () => {
    await using registry = await heldRegistry((url) => url === '/v2/')
    await using client = createRegistryClient({ environment: {}, retries: 0 })
    const stop = new AbortController()
    const repository = client.repository(`${registry.host}/a`)
    const first = client.hasBlob(repository, layer.digest, stop.signal)
    const second = client.hasBlob(repository, layer.digest)
    await until(() => registry.seen.length === 1)
    stop.abort()
    await expect(first).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    registry.letGo()
    expect(await second).toBe(true)
    expect(registry.seen.filter(({ path }) => path === '/v2/')).toHaveLength(1)
  })

  test('who waits for what another finds out need not wait to the end', async () => {
    await using registry = await heldRegistry((url) => url === '/v2/')
    await using client = createRegistryClient({ environment: {}, retries: 0 })
    const stop = new AbortController()
    const repository = client.repository(`${registry.host}/a`)
    const first = client.hasBlob(repository, layer.digest)
    const second = client.hasBlob(repository, layer.digest, stop.signal)
    stop.abort()
    await expect(second).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    registry.letGo()
    expect(await first).toBe(true)
  })

  test('who waits for a layer that another fetches need not wait to the end', async () => {
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.join('store') })
    await using registry = await heldRegistry((url) => url !== '/v2/')
    await using client = createRegistryClient({ environment: {}, retries: 0 })
    const stop = new AbortController()
    const pull = (signal?: AbortSignal) =>
      pullLayer(client, layer, [`${registry.host}/a`], { blobs: store.blobs, signal })
    const first = pull()
    const second = pull(stop.signal)
    await until(() => registry.seen.length === 2)
    stop.abort()
    await expect(second).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    registry.letGo()
    expect(await first).toEqual({ fetched: true })
  })
})

test.each(['/v2/', '/v2/a/manifests/1'])('a canceled call says so while a document comes (%s)', async (path) => {
  await using registry = await heldRegistry((url) => url === path)
  await using client = createRegistryClient({ environment: {}, retries: 0 })
  const stop = new AbortController()
  const fetched = client.fetchManifest(client.repository(`${registry.host}/a`), '1', stop.signal)
  await until(() => registry.seen.some((seen) => seen.path === path))
  setTimeout(() => stop.abort(), 20)
  await expect(fetched).rejects.toMatchObject({ code: 'OCI_CANCELED' })
})

test('a manifest that is cut off is asked for again, and the cut is told where it stays', async () => {
  let cuts = 1
  await using registry = await startStandIn((request, response) => {
    if (request.url === '/v2/') return void response.end('{}')
    if (cuts-- <= 0) return void response.end('{"schemaVersion":2}')
    response.writeHead(200, { 'content-length': 19 }).write('{"schema', () => response.destroy())
  })
  await using client = createRegistryClient({ environment: {}, retries: 1, retryDelayMs: 1 })
  const repository = client.repository(`${registry.host}/a`)
  expect((await client.fetchManifest(repository, '1')).bytes.toString()).toBe('{"schemaVersion":2}')
  cuts = 9
  await expect(client.fetchManifest(repository, '1')).rejects.toMatchObject({
    code: 'OCI_REGISTRY_UNREACHABLE',
    message: expect.stringContaining('connection reset'),
  })
})
