import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { startStandIn, temporaryDirectory, type StandIn } from '@ts-oci/testing'
import { openStore } from '../store/store.ts'
import { digestOf } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import { parseReference } from '../oci/reference.ts'
import { createRegistryClient } from './client.ts'
import { registryHost } from './host.ts'
import { resolveOptions, type RegistryClientOptions } from './options.ts'
import { pullAllManifests } from './pull-index.ts'
import { pullLayer, pullManifest } from './pull.ts'
import { tokenRealm } from './token.ts'

const noFiles = { HOME: '/nonexistent', XDG_RUNTIME_DIR: '/nonexistent', PATH: process.env['PATH'] }
const quick: RegistryClientOptions = { environment: noFiles, retries: 1, retryDelayMs: 1 }
const platform = { os: 'linux', architecture: 'amd64' }
const SECRET = 'hunter2hunter2'

const config = Buffer.from(JSON.stringify({ ...platform, rootfs: { type: 'layers', diff_ids: [] } }))
const configDescriptor = { mediaType: MediaType.ociConfig, digest: digestOf(config), size: config.length }
const manifest = (more: object = {}): Buffer =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MediaType.ociManifest,
      config: configDescriptor,
      layers: [],
      ...more,
    }),
  )

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A registry that serves this manifest and the config, with these headers. */
function registryOf(document: Buffer, headers: Record<string, string> = {}, status = 200): Promise<StandIn> {
  return startStandIn((request, response) => {
    if (request.url === '/v2/') response.end('{}')
    else if (request.url?.includes('/manifests/') === true) response.writeHead(status, headers).end(document)
    else if (request.url?.endsWith(configDescriptor.digest) === true) response.end(config)
    else response.writeHead(404).end()
  })
}

async function pullFrom(registry: StandIn, options: RegistryClientOptions = quick): Promise<unknown> {
  await using directory = await temporaryDirectory()
  await using store = await openStore({ root: directory.join('store') })
  await using client = createRegistryClient(options)
  return await pullManifest(client, `${registry.host}/a:1`, { blobs: store.blobs, platform }).then(
    (image) => image.manifestDigest,
    (error: unknown) => error,
  )
}

describe('a hostile document', () => {
  const descriptor = (more: object) => ({ mediaType: MediaType.ociLayerGzip, digest: digestOf('x'), size: 1, ...more })
  const bad: readonly (readonly [what: string, document: Buffer])[] = [
    ['a negative size', manifest({ layers: [descriptor({ size: -1 })] })],
    ['a size that is no number of bytes', manifest({ layers: [descriptor({ size: 1.5 })] })],
    ['a size beyond all', manifest({ layers: [descriptor({ size: 1e300 })] })],
    ['a size that is text', manifest({ layers: [descriptor({ size: '1' })] })],
    ['a digest that is a path', manifest({ layers: [descriptor({ digest: 'sha256:../../../../etc/passwd' })] })],
    ['a digest of capitals', manifest({ layers: [descriptor({ digest: `sha256:${'A'.repeat(64)}` })] })],
    ['too many layers', manifest({ layers: Array.from({ length: 15_000 }, () => descriptor({})) })],
    ['more layers than its config', manifest({ layers: [descriptor({})] })],
    ['a config of a terabyte', manifest({ config: { ...configDescriptor, size: 2 ** 40 } })],
    ['layers that are no list', manifest({ layers: { length: 1 } })],
    ['manifests and layers', manifest({ manifests: [] })],
    ['the type of an index', manifest({ mediaType: MediaType.ociIndex })],
    ['no JSON', Buffer.from('<html>')],
    ['JSON that is a list', Buffer.from('[]')],
    ['JSON that is nothing', Buffer.from('null')],
    ['a second byte order', Buffer.from([0xff, 0xfe, 0x7b, 0x00])],
    ['a depth beyond all', Buffer.from(`{"schemaVersion":2,"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`)],
    ['schema version 1', manifest({ schemaVersion: 1 })],
  ]
  test.each(bad)('with %s is refused', async (_what, document) => {
    await using registry = await registryOf(document)
    expect(await pullFrom(registry)).toMatchObject({
      code: expect.stringMatching(/^OCI_(?:MANIFEST_INVALID|CONFIG_INVALID|MEDIA_TYPE_UNSUPPORTED)$/),
    })
  })

  test('of indexes in indexes is followed to the image, and not without end', async () => {
    const documents = new Map<string, Buffer>()
    const put = (document: Buffer) => {
      documents.set(digestOf(document), document)
      return { mediaType: MediaType.ociIndex, digest: digestOf(document), size: document.length }
    }
    const indexOf = (...manifests: object[]) =>
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests }))
    const image = { ...put(manifest()), mediaType: MediaType.ociManifest, platform }
    const inner = indexOf(put(indexOf(image)))
    let deep = inner
    for (let depth = 0; depth < 10; depth++) deep = indexOf(put(deep))
    // What names itself cannot have its own digest: a registry that serves it all the same is not believed.
    const circle = digestOf('circle')
    documents.set(circle, indexOf({ mediaType: MediaType.ociIndex, digest: circle, size: 100 }))
    let top = inner
    await using registry = await startStandIn((request, response) => {
      const asked = request.url?.split('/').at(-1) ?? ''
      if (request.url === '/v2/') response.end('{}')
      else if (asked === '1') response.end(top)
      else if (asked === configDescriptor.digest) response.end(config)
      else response.end(documents.get(asked))
    })
    expect(await pullFrom(registry)).toBe(image.digest)
    top = deep
    expect(await pullFrom(registry)).toMatchObject({ code: 'OCI_MANIFEST_INVALID' })
    top = indexOf({ mediaType: MediaType.ociIndex, digest: circle, size: 100 })
    expect(await pullFrom(registry)).toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    expect(registry.seen.length).toBeLessThan(40)
  })

  test('that says a wrong size of its image is refused, as by BuildKit, whether the image is here or not', async () => {
    const image = manifest()
    const entry = { mediaType: MediaType.ociManifest, digest: digestOf(image), platform }
    const index = (size: number): Buffer =>
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [{ ...entry, size }] }))
    await using registry = await startStandIn((request, response) => {
      const path = request.url ?? ''
      if (path === '/v2/') response.end('{}')
      else if (path.endsWith('/manifests/1')) response.end(index(image.length))
      else if (path.endsWith('/manifests/2')) response.end(index(image.length + 1))
      else response.end(path.endsWith(entry.digest) ? image : config)
    })
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.join('store') })
    await using client = createRegistryClient(quick)
    const wrong = {
      code: 'OCI_DIGEST_MISMATCH',
      message: `${entry.digest} has ${image.length} bytes, its index says ${image.length + 1}`,
    }
    const reference = parseReference(`${registry.host}/a:2`)
    const options = { blobs: store.blobs, platform }
    for (const _ of ['not here', 'here']) {
      await expect(pullManifest(client, reference, options)).rejects.toMatchObject(wrong)
      await expect(pullAllManifests(client, reference, options)).rejects.toMatchObject(wrong)
      expect(await pullManifest(client, `${registry.host}/a:1`, options)).toMatchObject({
        manifestDigest: entry.digest,
      })
    }
  })

  test('with a prototype in its annotations changes nobody', async () => {
    const document = Buffer.from(
      manifest().toString().replace('"layers":[]', '"layers":[],"annotations":{"__proto__":"x","constructor":"y"}'),
    )
    await using registry = await registryOf(document)
    expect(await pullFrom(registry)).toBe(digestOf(document))
    expect(({} as Record<string, unknown>)['x']).toBeUndefined()
    expect(Object.prototype.constructor).toBe(Object)
  })

  test.each([
    ['packed for the way', gzipSync(manifest()), { 'content-encoding': 'gzip' }],
    ['with another type in its header', manifest(), { 'content-type': MediaType.ociIndex }],
    ['with another digest in its header', manifest(), { 'docker-content-digest': digestOf('lie') }],
  ])('%s is refused', async (_what, document, headers) => {
    await using registry = await registryOf(document, headers)
    expect(await pullFrom(registry)).toMatchObject({ code: expect.stringMatching(/^OCI_/) })
  })

  test('whose layer lies elsewhere has nobody asked there', async () => {
    await using elsewhere = await startStandIn((_, response) => void response.end('x'))
    const foreign = { ...descriptor({}), urls: [`http://${elsewhere.host}/x`, 'https://169.254.169.254/latest'] }
    await using registry = await registryOf(manifest())
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.join('store') })
    await using client = createRegistryClient(quick)
    for (const mediaType of [MediaType.ociLayerGzip, MediaType.dockerLayerForeignGzip])
      await expect(
        pullLayer(client, { ...foreign, mediaType }, [`${registry.host}/a`], { blobs: store.blobs }),
      ).rejects.toMatchObject({
        code: 'OCI_REGISTRY_NOT_FOUND',
        message: expect.stringContaining('addresses that a manifest names are not asked'),
      })
    expect(elsewhere.seen).toEqual([])
  })
})

describe('a hostile answer', () => {
  test.each(['31536000', '99999999999999', new Date(Date.now() + 3e10).toUTCString()])(
    'that wants a pause until %s is told at once',
    async (pause) => {
      await using registry = await registryOf(Buffer.from('{}'), { 'retry-after': pause }, 429)
      const startMs = performance.now()
      expect(await pullFrom(registry, { ...quick, retries: 2 })).toMatchObject({ code: 'OCI_REGISTRY_DENIED' })
      expect(performance.now() - startMs).toBeLessThan(3000)
    },
  )

  test.each([
    ['Bearer realm="file:///etc/passwd"', 'OCI_REGISTRY_PROTOCOL'],
    ['Bearer realm="javascript:x"', 'OCI_REGISTRY_PROTOCOL'],
    ['Bearer realm=""', 'OCI_REGISTRY_PROTOCOL'],
    ['Bearer realm="http://elsewhere.example/token"', 'OCI_REGISTRY_INSECURE'],
    ['Bearer realm="http://user:pw@elsewhere.example/"', 'OCI_REGISTRY_INSECURE'],
    ['Bearer', 'OCI_REGISTRY_UNAUTHORIZED'],
    ['Digest realm="x", nonce="y"', 'OCI_REGISTRY_UNAUTHORIZED'],
    [`Basic ${','.repeat(8000)}`, 'OCI_REGISTRY_UNAUTHORIZED'],
    ['a '.repeat(4000), 'OCI_REGISTRY_UNAUTHORIZED'],
    [`Negotiate ${'a'.repeat(8000)}!`, 'OCI_REGISTRY_UNAUTHORIZED'],
  ])('with the challenge %s gets no credential', async (challenge, code) => {
    await using registry = await startStandIn((_request, response) => {
      response.writeHead(401, { 'www-authenticate': challenge }).end()
    })
    const credentials = { [registry.host]: { kind: 'password' as const, username: 'me', password: SECRET } }
    const error = await pullFrom(registry, { ...quick, credentials })
    // Basic is answered: it is the registry's own.
    expect(error).toMatchObject({ code })
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain(SECRET)
  })

  test.each([
    'https://127.0.0.1/t',
    'https://localhost./t',
    'https://[::ffff:127.0.0.1]/t',
    'https://0/t',
    'https://x.localhost/t',
  ])('of a registry elsewhere cannot have its token fetched from this machine: %s', (realm) => {
    const host = registryHost('registry.example', new Set())
    const challenge = { scheme: 'bearer', parameters: { realm } }
    expect(() => tokenRealm(host, challenge, false, resolveOptions(quick))).toThrow('from this machine')
  })

  const tokens: readonly (readonly [string, Handler])[] = [
    ['endless', (_, response) => pour(response)],
    ['no token', (_, response) => void response.end('{"token":7}')],
    ['no JSON', (_, response) => void response.end('x')],
    ['a token that ends its header', (_, response) => void response.end('{"token":"a\\r\\nX-Evil: 1"}')],
    ['a way elsewhere', (_, response) => void response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
    ['an error that tells the password', (_, response) => void response.writeHead(500).end(`{"details":"${SECRET}"}`)],
  ]
  test.each(tokens)('of a token service that gives %s is one clear error', async (_what, answer) => {
    await using service = await startStandIn(answer)
    await using registry = await startStandIn((_request, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${service.host}/token"` }).end()
    })
    const credentials = { [registry.host]: { kind: 'password' as const, username: 'me', password: SECRET } }
    const error = await pullFrom(registry, { ...quick, credentials, retries: 0 })
    expect(error).toMatchObject({ code: expect.stringMatching(/^OCI_REGISTRY_/), hint: expect.any(String) })
    const shown = `${(error as Error).message}${(error as { hint?: string }).hint}${JSON.stringify((error as { details: unknown }).details)}`
    expect(shown).not.toContain(SECRET)
    expect(shown).not.toContain(Buffer.from(`me:${SECRET}`).toString('base64'))
  })

  test.each(['', 'http://', '//', 'file:///etc/passwd', 'data:,x', 'http://elsewhere.example/upload'])(
    'that leads an upload to %j gets no byte',
    async (location) => {
      await using registry = await startStandIn((request, response) => {
        if (request.method === 'POST') response.writeHead(202, { location }).end()
        else response.writeHead(request.url === '/v2/' ? 200 : 404).end()
      })
      await using client = createRegistryClient({ ...quick, retries: 0 })
      let opened = 0
      const open = async function* (): AsyncGenerator<Uint8Array> {
        opened++
        yield config
      }
      await expect(
        client.uploadBlob(client.repository(`${registry.host}/a`), configDescriptor, { open }),
      ).rejects.toMatchObject({ code: expect.stringMatching(/^OCI_REGISTRY_/) })
      if (location !== '') expect(opened).toBe(0)
    },
  )
})

function pour(response: ServerResponse): void {
  const timer = setInterval(() => response.writableNeedDrain || response.write(' '.repeat(65_536)), 1)
  response.on('close', () => clearInterval(timer))
}
