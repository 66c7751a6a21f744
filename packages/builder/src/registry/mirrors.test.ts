import type { ServerResponse } from 'node:http'
import { writeFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { makeBusyboxBase, pushBase, startRegistry, startStandIn, temporaryDirectory, testWith } from '@ts-oci/testing'
import { digestOf } from '../oci/digest.ts'
import { openStore } from '../store/store.ts'
import { createRegistryClient, type RegistryClient } from './client.ts'
import type { RegistryClientOptions } from './options.ts'
import { pullLayer, pullManifest } from './pull.ts'

const noFiles = { HOME: '/nonexistent', XDG_RUNTIME_DIR: '/nonexistent', CONTAINERS_REGISTRIES_CONF: '/dev/null' }
const quick: RegistryClientOptions = { environment: noFiles, retries: 1, retryDelayMs: 1 }
const platform = { os: 'linux', architecture: 'amd64' }
const manifest = Buffer.from('{"schemaVersion":2,"of":"the registry"}')
const content = Buffer.alloc(300_000, 'layer')
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(content), size: content.length }

/** A registry that has one manifest and one blob, and serves ranges. */
function goodRegistry(own: Buffer = manifest) {
  return startStandIn((request, response) => {
    const path = request.url ?? ''
    if (path === '/v2/') return void response.end('{}')
    if (path.includes('/manifests/')) return void response.end(own)
    const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (start > 0)
      response.writeHead(206, { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` })
    response.end(content.subarray(start))
  })
}

/** A mirror that answers `/v2/` well and the rest as the test says. */
function mirrorWith(answer: (response: ServerResponse) => void) {
  return startStandIn((request, response) => (request.url === '/v2/' ? void response.end('{}') : answer(response)))
}

async function blob(client: RegistryClient, name: string): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of client.fetchBlob(client.repository(name), layer)) chunks.push(chunk)
  return digestOf(Buffer.concat(chunks))
}

testWith(
  ['docker-registry', 'skopeo', 'busybox', 'tar'],
  'an image comes from a mirror alone, where that has it',
  async () => {
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.join('store') })
    await using mirror = await startRegistry()
    await pushBase(await makeBusyboxBase(directory.join('busybox')), mirror, 'hub/library/busybox:1')
    await using client = createRegistryClient({ ...quick, mirrors: [`${mirror.host}/hub`] })
    // Docker Hub is not asked: no machine that runs tests need reach it.
    const image = await pullManifest(client, 'busybox:1', { blobs: store.blobs, platform })
    expect(image.reference).toMatchObject({ domain: 'docker.io', path: 'library/busybox' })
    for (const descriptor of image.manifest.layers)
      expect(await pullLayer(client, descriptor, ['busybox:1'], { blobs: store.blobs })).toEqual({ fetched: true })
  },
)

describe('a mirror that fails has the registry itself asked', () => {
  test.each<[string, (response: ServerResponse) => void]>([
    ['not found', (response) => void response.writeHead(404).end()],
    ['a login that is wanted', (response) => void response.writeHead(401, { 'www-authenticate': 'Basic' }).end()],
    ['a refusal', (response) => void response.writeHead(403).end()],
    ['too many requests', (response) => void response.writeHead(429, { 'retry-after': '3600' }).end()],
    ['a fault', (response) => void response.writeHead(500).end()],
    ['a cut connection', (response) => void response.destroy()],
  ])('%s', async (_, answer) => {
    await using mirror = await mirrorWith(answer)
    await using registry = await goodRegistry()
    await using client = createRegistryClient({ ...quick, mirrors: [`${registry.host}=${mirror.host}`] })
    const fetched = await client.fetchManifest(client.repository(`${registry.host}/a`), '1')
    expect(Buffer.from(fetched.bytes)).toEqual(manifest)
    expect(await blob(client, `${registry.host}/a`)).toBe(layer.digest)
    expect(mirror.seen.length).toBeGreaterThan(0)
  })

  test('a manifest without an end', async () => {
    await using mirror = await mirrorWith(pour)
    await using registry = await goodRegistry()
    await using client = createRegistryClient({ ...quick, mirrors: [`${registry.host}=${mirror.host}`] })
    const fetched = await client.fetchManifest(client.repository(`${registry.host}/a`), '1')
    expect(Buffer.from(fetched.bytes)).toEqual(manifest)
  })

  test('and one that does not answer is not waited for again', async () => {
    await using registry = await goodRegistry()
    const gone = await startStandIn(() => undefined)
    await gone.stop()
    await using client = createRegistryClient({ ...quick, mirrors: [`${registry.host}=${gone.host}`] })
    expect(await blob(client, `${registry.host}/a`)).toBe(layer.digest)
    await using back = await startStandIn(() => undefined, gone.port)
    expect(await blob(client, `${registry.host}/a`)).toBe(layer.digest)
    expect(back.seen).toEqual([])
  })

  test('a blob that breaks off in a mirror goes on from there', async () => {
    await using registry = await goodRegistry()
    await using mirror = await mirrorWith((response) => {
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20))
    })
    await using client = createRegistryClient({ ...quick, mirrors: [`${registry.host}=${mirror.host}`] })
    expect(await blob(client, `${registry.host}/a`)).toBe(layer.digest)
    expect(registry.seen.find(({ path }) => path.includes('/blobs/'))?.headers.range).toBe('bytes=100000-299999')
  })

  test('when nobody has it, the error is that of the registry, and its hint tells of the mirror', async () => {
    await using mirror = await mirrorWith((response) => void response.writeHead(403).end())
    await using registry = await mirrorWith((response) => void response.writeHead(404).end())
    await using client = createRegistryClient({ ...quick, mirrors: [`${registry.host}=${mirror.host}`] })
    await expect(client.fetchManifest(client.repository(`${registry.host}/a`), '1')).rejects.toMatchObject({
      code: 'OCI_REGISTRY_NOT_FOUND',
      message: expect.stringContaining(registry.host),
      hint: expect.stringContaining(`mirrors failed, too: manifest ${mirror.host}/a:1`),
    })
  })
})

describe('bytes that a mirror altered', () => {
  const altered = Buffer.alloc(content.length, 'other')
  const mirrors: readonly [string, (response: ServerResponse) => void][] = [
    ['whole', (response) => void response.end(altered)],
    ['and more of them than there are', (response) => pour(response)],
    [
      'and broke off',
      (response) => {
        response.writeHead(200, { 'content-length': content.length })
        response.write(altered.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20))
      },
    ],
  ]

  test.each(mirrors)('are found out by their digest, and the registry is asked: %s', async (_, answer) => {
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.join('store') })
    await using mirror = await mirrorWith(answer)
    await using registry = await goodRegistry()
    await using client = createRegistryClient({ ...quick, mirrors: [`${registry.host}=${mirror.host}`] })
    expect(await pullLayer(client, layer, [`${registry.host}/a`], { blobs: store.blobs })).toEqual({ fetched: true })
    expect(digestOf(store.blobs.read(layer.digest))).toBe(layer.digest)
  })

  test.each(mirrors)('and that somebody has read on their way are an error that names it: %s', async (_, answer) => {
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.join('store') })
    await using mirror = await mirrorWith(answer)
    await using registry = await goodRegistry()
    await using client = createRegistryClient({ ...quick, mirrors: [`${registry.host}=${mirror.host}`] })
    const read = (onChunk: () => void): Promise<unknown> =>
      pullLayer(client, layer, [`${registry.host}/a`], { blobs: store.blobs, onChunk })
    await expect(read(() => undefined)).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
      message: expect.stringContaining(`from ${mirror.host}/a`),
    })
    expect(store.blobs.has(layer.digest)).toBe(false)
    // It is not asked again.
    expect(await read(() => undefined)).toEqual({ fetched: true })
  })

  test('and the registry, too, are an error', async () => {
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.join('store') })
    await using mirror = await mirrorWith((response) => void response.end(altered))
    await using registry = await mirrorWith((response) => void response.end(altered))
    await using client = createRegistryClient({ ...quick, mirrors: [`${registry.host}=${mirror.host}`] })
    await expect(pullLayer(client, layer, [`${registry.host}/a`], { blobs: store.blobs })).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
      message: expect.not.stringContaining(mirror.host),
    })
    expect(mirror.seen.filter(({ path }) => path.includes('/blobs/'))).toHaveLength(1)
    expect(store.blobs.has(layer.digest)).toBe(false)
  })
})

test('a credential of a registry does not go to its mirror, and one of the mirror does', async () => {
  await using registry = await goodRegistry()
  await using mirror = await startStandIn((request, response) => {
    const isRight = request.headers.authorization === `Basic ${Buffer.from('m:mirror').toString('base64')}`
    if (!isRight) return void response.writeHead(401, { 'www-authenticate': 'Basic realm="m"' }).end()
    response.end(request.url === '/v2/' ? '{}' : manifest)
  })
  const credentials = {
    [registry.host]: { kind: 'password', username: 'r', password: 'registry' },
    [mirror.host]: { kind: 'password', username: 'm', password: 'mirror' },
  } as const
  await using client = createRegistryClient({ ...quick, credentials, mirrors: [`${registry.host}=${mirror.host}`] })
  await client.fetchManifest(client.repository(`${registry.host}/a`), '1')
  const sent = mirror.seen.flatMap(({ headers }) => headers.authorization ?? [])
  expect(new Set(sent)).toEqual(new Set([`Basic ${Buffer.from('m:mirror').toString('base64')}`]))
  expect(registry.seen).toEqual([])
})

test('a push goes to the registry itself', async () => {
  await using mirror = await goodRegistry()
  await using registry = await startStandIn((_, response) => void response.writeHead(201).end())
  await using client = createRegistryClient({ ...quick, mirrors: [`${registry.host}=${mirror.host}`] })
  await client.putManifest(client.repository(`${registry.host}/a`), '1', { bytes: manifest, mediaType: 'x/y' })
  expect(mirror.seen).toEqual([])
  expect(registry.seen.at(-1)).toMatchObject({ method: 'PUT', path: '/v2/a/manifests/1' })
})

describe('a file of settings', () => {
  const withFile = async (text: string, body: (options: RegistryClientOptions) => Promise<void>): Promise<void> => {
    await using directory = await temporaryDirectory()
    await writeFile(directory.join('registries.conf'), text)
    await body({ ...quick, registriesConf: directory.join('registries.conf') })
  }

  test('that blocks a registry has it asked for nothing, neither to read nor to write', async () => {
    await using registry = await goodRegistry()
    await withFile(`[[registry]]\nlocation = "${registry.host}"\nblocked = true\n`, async (options) => {
      await using client = createRegistryClient(options)
      const repository = client.repository(`${registry.host}/a`)
      const blocked = { code: 'OCI_REGISTRY_DENIED', message: expect.stringContaining('is blocked by') }
      await expect(client.fetchManifest(repository, '1')).rejects.toMatchObject(blocked)
      await expect(blob(client, `${registry.host}/a`)).rejects.toMatchObject(blocked)
      await expect(client.putManifest(repository, '1', { bytes: manifest, mediaType: 'x/y' })).rejects.toMatchObject(
        blocked,
      )
    })
    expect(registry.seen).toEqual([])
  })

  test('that rewrites a name has it read from there', async () => {
    await using registry = await goodRegistry()
    await withFile(
      `[[registry]]\nprefix = "gone.invalid/team"\nlocation = "${registry.host}/new"\n`,
      async (options) => {
        await using client = createRegistryClient(options)
        await client.fetchManifest(client.repository('gone.invalid/team/app'), '1')
      },
    )
    expect(registry.seen.map(({ path }) => path)).toEqual(['/v2/', '/v2/new/app/manifests/1'])
  })

  test('that calls a registry insecure allows plain HTTP for it, and for no other', async () => {
    await using registry = await goodRegistry()
    // The kernel's address for "this host": no loopback of ours.
    const name = `0.0.0.0:${registry.port}`
    await withFile(`[[registry]]\nlocation = "${name}/inner"\ninsecure = true\n`, async (options) => {
      await using client = createRegistryClient(options)
      await client.fetchManifest(client.repository(`${name}/inner/a`), '1')
      await client
        .putManifest(client.repository(`${name}/inner/a`), '1', { bytes: manifest, mediaType: 'x/y' })
        .catch(() => 0)
      await expect(client.fetchManifest(client.repository(`${name}/a`), '1')).rejects.toMatchObject({
        code: 'OCI_REGISTRY_INSECURE',
      })
    })
    expect(registry.seen.filter(({ path }) => path.startsWith('/v2/a/'))).toEqual([])
    expect(registry.seen.filter(({ method }) => method === 'PUT')).toHaveLength(1)
  })
})

function pour(response: ServerResponse): void {
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
    if (!response.destroyed) response.once('drain', more)
  }
  more()
}
