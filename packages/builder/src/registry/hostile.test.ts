import type { ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { checkTool, type StandIn, startStandIn, temporaryDirectory, testWith } from '@ts-oci/testing'
import { readFile } from 'node:fs/promises'
import { createServer as createTlsServer } from 'node:https'
import { openStore } from '../store/store.ts'
import { digestOf } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'
import { createRegistryClient, type RegistryClient } from './client.ts'
import type { RegistryClientOptions } from './options.ts'
import { pullLayer, pullManifest } from './pull.ts'

const noFiles = { HOME: '/nonexistent', XDG_RUNTIME_DIR: '/nonexistent', PATH: process.env['PATH'] }
const quick: RegistryClientOptions = { environment: noFiles, retries: 1, retryDelayMs: 1 }
const platform = { os: 'linux', architecture: 'amd64' }
const content = Buffer.alloc(200_000, 'layer')
const layer: Descriptor = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: digestOf(content),
  size: content.length,
}

/** A registry that answers `/v2/` well and everything else as the test says. */
function registryWith(answer: (response: ServerResponse, path: string) => void): Promise<StandIn> {
  return startStandIn((request, response) => {
    if (request.url === '/v2/') response.end('{}')
    else answer(response, request.url ?? '')
  })
}

async function blob(client: RegistryClient, host: string): Promise<number> {
  let bytes = 0
  for await (const chunk of client.fetchBlob(client.repository(`${host}/a`), layer)) bytes += chunk.length
  return bytes
}

describe('a hostile registry', () => {
  test.each([
    ['endless', (response: ServerResponse) => pour(response)],
    [
      'announced as huge',
      (response: ServerResponse) => void response.writeHead(200, { 'content-length': '5000000' }).write('{'),
    ],
  ])('cannot fill the memory with a manifest that is %s', async (_, answer) => {
    await using registry = await registryWith(answer)
    await using client = createRegistryClient(quick)
    await expect(client.fetchManifest(client.repository(`${registry.host}/a`), '1')).rejects.toMatchObject({
      code: 'OCI_REGISTRY_PROTOCOL',
      message: expect.stringContaining('larger than'),
    })
  })

  test('cannot pass off another manifest for the digest that was asked for', async () => {
    await using registry = await registryWith((response) => void response.end('{"schemaVersion":2}'))
    await using client = createRegistryClient(quick)
    await expect(
      client.fetchManifest(client.repository(`${registry.host}/a`), digestOf('other')),
    ).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
  })

  test('whose own digest contradicts its bytes is not believed', async () => {
    await using registry = await registryWith(
      (response) => void response.writeHead(200, { 'docker-content-digest': digestOf('other') }).end('{}'),
    )
    await using client = createRegistryClient(quick)
    await expect(client.fetchManifest(client.repository(`${registry.host}/a`), '1')).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
    })
  })

  test.each([
    ['an HTML page', '<html>login</html>', 'OCI_MANIFEST_INVALID'],
    ['schema version 1', '{"schemaVersion":1}', 'OCI_MEDIA_TYPE_UNSUPPORTED'],
    [
      'index and manifest at once',
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"layers":[]}',
      'OCI_MANIFEST_INVALID',
    ],
  ])('with %s for a manifest gets a clear answer', async (_, text, code) => {
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.join('store') })
    await using registry = await registryWith((response) => void response.end(text))
    await using client = createRegistryClient(quick)
    await expect(pullManifest(client, `${registry.host}/a`, { blobs: store.blobs, platform })).rejects.toMatchObject({
      code,
    })
  })

  test('that redirects in a circle is left', async () => {
    await using registry = await registryWith(
      (response, path) => void response.writeHead(307, { location: path }).end(),
    )
    await using client = createRegistryClient(quick)
    await expect(blob(client, registry.host)).rejects.toMatchObject({
      code: 'OCI_REGISTRY_PROTOCOL',
      message: expect.stringContaining('redirects more than'),
    })
    expect(registry.seen.length).toBeLessThan(20)
  })

  test.each(['file:///etc/passwd', 'http://elsewhere.example/blob', 'http://'])(
    'cannot redirect to %s',
    async (location) => {
      await using registry = await registryWith((response) => void response.writeHead(307, { location }).end())
      await using client = createRegistryClient(quick)
      await expect(blob(client, registry.host)).rejects.toMatchObject({
        code: expect.stringMatching(/^OCI_REGISTRY_(PROTOCOL|INSECURE)$/),
      })
    },
  )

  test('gets no more of us than its own credential: none goes along a redirect to another host', async () => {
    await using other = await startStandIn((_, response) => void response.end(content))
    await using registry = await startStandIn((request, response) => {
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      else response.writeHead(307, { location: `http://${other.host}/elsewhere` }).end()
    })
    await using client = createRegistryClient({
      ...quick,
      credentials: {
        [registry.host]: { kind: 'password', username: 'u', password: 'p' },
        [other.host]: { kind: 'password', username: 'o', password: 'q' },
      },
    })
    expect(await blob(client, registry.host)).toBe(content.length)
    expect(other.seen.map((request) => request.headers.authorization)).toEqual([undefined])
    expect(registry.seen.at(-1)?.headers.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`)
  })

  test('cannot have the credential brought back to it by way of another host', async () => {
    let registryHost = ''
    await using other = await startStandIn(
      (_, response) => void response.writeHead(307, { location: `http://${registryHost}/v2/stolen` }).end(),
    )
    await using registry = await startStandIn((request, response) => {
      if (request.url === '/v2/stolen') response.end(content)
      else if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      else response.writeHead(307, { location: `http://${other.host}/x` }).end()
    })
    registryHost = registry.host
    await using client = createRegistryClient({
      ...quick,
      credentials: { [registry.host]: { kind: 'password', username: 'u', password: 'p' } },
    })
    await blob(client, registry.host)
    expect(registry.seen.find((request) => request.path === '/v2/stolen')?.headers.authorization).toBeUndefined()
  })

  test('whose blob goes on after its size is cut off there', async () => {
    await using registry = await registryWith((response) => pour(response))
    await using client = createRegistryClient(quick)
    await expect(blob(client, registry.host)).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
      message: expect.stringContaining('longer than'),
    })
  })

  test.each([['0'], ['100'], [String(content.length - 1)]])(
    'whose blob ends after %s bytes gives no blob',
    async (length) => {
      await using directory = await temporaryDirectory()
      await using store = await openStore({ root: directory.join('store') })
      await using registry = await registryWith((response) => void response.end(content.subarray(0, Number(length))))
      await using client = createRegistryClient(quick)
      await expect(pullLayer(client, layer, [`${registry.host}/a`], { blobs: store.blobs })).rejects.toMatchObject({
        code: 'OCI_DIGEST_MISMATCH',
        message: expect.stringContaining(`ends after ${length} of 200000`),
      })
      expect(store.blobs.has(layer.digest)).toBe(false)
    },
  )

  test.each(['abc', '-1', '100, 200'])('with Content-Length %s does no harm', async (length) => {
    await using registry = await rawServer((path) =>
      path === '/v2/'
        ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'
        : `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\nxx`,
    )
    await using client = createRegistryClient(quick)
    await expect(blob(client, registry.host)).rejects.toMatchObject({ code: expect.stringMatching(/^OCI_/) })
  })

  test('with endless headers is left', async () => {
    await using registry = await rawServer((path) =>
      path === '/v2/'
        ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'
        : `HTTP/1.1 200 OK\r\n${`X-Filler: ${'x'.repeat(1000)}\r\n`.repeat(1000)}`,
    )
    await using client = createRegistryClient(quick)
    await expect(blob(client, registry.host)).rejects.toMatchObject({ code: 'OCI_REGISTRY_PROTOCOL' })
  })

  test.each([
    ['', 'OCI_REGISTRY_PROTOCOL'],
    ['HTTP/1.1 200 OK\r\nX: ', 'OCI_REGISTRY_UNREACHABLE'],
  ])(
    'that begins with %j and sends letters without an end is given up',
    async (start, code) => {
      await using registry = await rawServer(
        (path) => (path === '/v2/' ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}' : start),
        { trickle: 'x' },
      )
      await using client = createRegistryClient({ ...quick, retries: 0, timeouts: { headersMs: 300 } })
      await expect(blob(client, registry.host)).rejects.toMatchObject({ code })
    },
    15_000,
  )

  test('that lets a blob trickle is given up', async () => {
    await using registry = await registryWith((response) => {
      response.writeHead(200, { 'content-length': String(content.length) })
      const timer = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(timer))
    })
    await using client = createRegistryClient({
      ...quick,
      retries: 0,
      timeouts: { slowWindowMs: 300, slowBytes: 1000 },
    })
    await expect(blob(client, registry.host)).rejects.toMatchObject({
      code: 'OCI_REGISTRY_UNREACHABLE',
      message: expect.stringMatching(/bytes in/),
    })
  })

  test('that lets a manifest trickle is given up', async () => {
    await using registry = await registryWith((response) => {
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    })
    await using client = createRegistryClient({ ...quick, retries: 0, timeouts: { documentMs: 300 } })
    await expect(client.fetchManifest(client.repository(`${registry.host}/a`), '1')).rejects.toMatchObject({
      code: 'OCI_REGISTRY_UNREACHABLE',
    })
  })

  test('cannot write to the terminal by an error text', async () => {
    await using registry = await registryWith(
      (response) =>
        void response.writeHead(404).end(JSON.stringify({ errors: [{ code: 'X\u001b[2J', message: 'no\r\nsuch' }] })),
    )
    await using client = createRegistryClient(quick)
    const error: unknown = await blob(client, registry.host).catch((caught: unknown) => caught)
    expect((error as Error).message).toContain('X [2J: no such')
  })
})

describe('reaching a registry', () => {
  test('whose port is none is one clear error', async () => {
    await using client = createRegistryClient({ environment: noFiles })
    await expect(blob(client, 'localhost:99999')).rejects.toMatchObject({ code: 'OCI_REFERENCE_INVALID' })
  })

  test('where nobody listens is one clear error, at once', async () => {
    await using gone = await startStandIn(() => undefined)
    await gone.stop()
    await using client = createRegistryClient({ environment: noFiles })
    const start = performance.now()
    await expect(blob(client, gone.host)).rejects.toMatchObject({
      code: 'OCI_REGISTRY_UNREACHABLE',
      message: `cannot reach ${gone.host}: connection refused`,
      hint: expect.stringContaining('check'),
    })
    expect(performance.now() - start).toBeLessThan(2000)
  })

  test('whose name does not exist is one clear error', async () => {
    await using client = createRegistryClient(quick)
    await expect(blob(client, 'registry.invalid')).rejects.toMatchObject({ code: 'OCI_REGISTRY_UNREACHABLE' })
  })

  test('elsewhere is never tried over plain HTTP, unless allowed by name', async () => {
    await using registry = await startStandIn((_, response) => void response.end(content))
    // A name that is not loopback's own and yet leads to this machine: the kernel's address for "this host".
    const name = `0.0.0.0:${registry.port}`
    await using client = createRegistryClient(quick)
    await expect(blob(client, name)).rejects.toMatchObject({
      code: 'OCI_REGISTRY_INSECURE',
      hint: expect.stringContaining(`--insecure-registry=${name}`),
    })
    expect(registry.seen).toEqual([])
    await using allowed = createRegistryClient({ ...quick, insecureRegistries: [name] })
    expect(await blob(allowed, name)).toBe(content.length)
  })

  testWith(['openssl'], 'over TLS needs a certificate that verifies, unless allowed by name', async () => {
    await using directory = await temporaryDirectory()
    const [key, cert] = [directory.join('key.pem'), directory.join('cert.pem')]
    await checkTool('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-subj',
      '/CN=localhost',
      '-days',
      '2',
    ])
    const server = createTlsServer(
      { key: await readFile(key), cert: await readFile(cert) },
      (_, response) => void response.end(content),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      await using client = createRegistryClient(quick)
      await expect(blob(client, host)).rejects.toMatchObject({
        code: 'OCI_REGISTRY_INSECURE',
        message: expect.stringContaining('does not verify'),
      })
      await using allowed = createRegistryClient({ ...quick, insecureRegistries: [host] })
      expect(await blob(allowed, host)).toBe(content.length)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  test('elsewhere goes through the proxy of the environment, loopback does not', async () => {
    await using proxy = await startStandIn((_, response) => void response.writeHead(404).end())
    await using registry = await startStandIn((_, response) => void response.end(content))
    const environment = { ...noFiles, http_proxy: `http://${proxy.host}`, https_proxy: `http://${proxy.host}` }
    await using client = createRegistryClient({ ...quick, environment, insecureRegistries: ['registry.invalid'] })
    expect(await blob(client, registry.host)).toBe(content.length)
    expect(proxy.seen).toEqual([])
    await expect(blob(client, 'registry.invalid')).rejects.toMatchObject({
      code: expect.stringMatching(/^OCI_REGISTRY_/),
    })
  })
})

describe('an upload', () => {
  test('that refuses a blob and takes no pieces is told with its first words', async () => {
    await using registry = await startStandIn((request, response) => {
      if (request.method === 'POST') return void response.writeHead(202, { location: '/v2/a/blobs/uploads/1' }).end()
      if (request.method === 'PUT')
        return void response
          .writeHead(400)
          .end(JSON.stringify({ errors: [{ code: 'DENIED', message: 'quota is used up' }] }))
      response.writeHead(request.method === 'PATCH' ? 405 : 404).end()
    })
    await using client = createRegistryClient(quick)
    const open = async function* (offset: number): AsyncGenerator<Uint8Array> {
      yield content.subarray(offset)
    }
    await expect(client.uploadBlob(client.repository(`${registry.host}/a`), layer, { open })).rejects.toMatchObject({
      message: expect.stringContaining('quota is used up'),
    })
  })

  test('that breaks off in the middle of a piece goes on after what the registry has', async () => {
    const stored: Buffer[] = []
    let cuts = 0
    const length = (): number => Buffer.concat(stored).length
    await using registry = await startStandIn(async (request, response) => {
      const location = `/v2/a/blobs/uploads/1?state=x%2By`
      if (request.method === 'HEAD') return void response.writeHead(404).end()
      if (request.method === 'POST') return void response.writeHead(202, { location }).end()
      if (request.method === 'GET') return void response.writeHead(204, { location, range: `0-${length() - 1}` }).end()
      if (request.method === 'PUT' && request.headers['content-length'] !== '0')
        return void response.writeHead(413).end()
      if (request.method === 'PUT')
        return void response
          .writeHead(request.url?.startsWith(`${location}&digest=${layer.digest}`) === true ? 201 : 400)
          .end()
      for await (const chunk of request as AsyncIterable<Buffer>) {
        if (cuts === 0 && length() + chunk.length > 100_000) {
          stored.push(chunk.subarray(0, 100_000 - length()))
          cuts++
          request.destroy()
          return
        }
        stored.push(chunk)
      }
      response.writeHead(202, { location, range: `0-${length() - 1}` }).end()
    })
    await using client = createRegistryClient(quick)
    const open = async function* (offset: number): AsyncGenerator<Uint8Array> {
      for (let at = offset; at < content.length; at += 10_000) yield content.subarray(at, at + 10_000)
    }
    expect(await client.uploadBlob(client.repository(`${registry.host}/a`), layer, { open })).toBe('uploaded')
    expect(Buffer.concat(stored).equals(content)).toBe(true)
    expect(
      registry.seen.filter((request) => request.method === 'PATCH').map((request) => request.headers['content-range']),
    ).toEqual(['0-199999', '100000-199999'])
  })

  test.each([
    ['a registry that keeps less of a piece than it was sent, and says so', 202],
    ['a registry that stands elsewhere than we think (416)', 416],
  ])('goes on where %s', async (_, status) => {
    const stored: Buffer[] = []
    let patches = 0
    const length = (): number => Buffer.concat(stored).length
    await using registry = await startStandIn(async (request, response) => {
      const location = '/v2/a/blobs/uploads/1'
      if (request.method === 'HEAD') return void response.writeHead(404).end()
      if (request.method === 'POST') return void response.writeHead(202, { location }).end()
      if (request.method === 'GET') return void response.writeHead(204, { location, range: `0-${length() - 1}` }).end()
      const chunks: Buffer[] = []
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
      if (request.method === 'PUT')
        return void response.writeHead(chunks.length > 0 ? 413 : length() === content.length ? 201 : 400).end()
      const isFirst = patches++ === 0
      stored.push(isFirst ? Buffer.concat(chunks).subarray(0, 70_000) : Buffer.concat(chunks))
      response.writeHead(isFirst ? status : 202, { location, range: `0-${length() - 1}` }).end()
    })
    await using client = createRegistryClient(quick)
    const open = async function* (offset: number): AsyncGenerator<Uint8Array> {
      yield content.subarray(offset)
    }
    expect(await client.uploadBlob(client.repository(`${registry.host}/a`), layer, { open })).toBe('uploaded')
    expect(Buffer.concat(stored).equals(content)).toBe(true)
    const sent = registry.seen.filter(({ method }) => method === 'PATCH').map(({ headers }) => headers['content-range'])
    expect(sent).toEqual(['0-199999', '70000-199999'])
  })

  test('is not led to another host with the credential', async () => {
    await using other = await startStandIn(async (request, response) => {
      for await (const _ of request);
      response.writeHead(201).end()
    })
    await using registry = await startStandIn((request, response) => {
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      else if (request.method === 'HEAD') response.writeHead(404).end()
      else if (request.method === 'POST') response.writeHead(202, { location: `http://${other.host}/upload` }).end()
      else response.end()
    })
    await using client = createRegistryClient({
      ...quick,
      credentials: { [registry.host]: { kind: 'password', username: 'u', password: 'p' } },
    })
    const open = async function* (): AsyncGenerator<Uint8Array> {
      yield content
    }
    await client.uploadBlob(client.repository(`${registry.host}/a`), layer, { open })
    expect(other.seen.map((request) => request.headers.authorization)).toEqual([undefined])
  })
})

/** Writes for ever, as fast as the other side reads. */
function pour(response: ServerResponse): void {
  const block = Buffer.alloc(65_536, ' ')
  const go = (): void => {
    while (!response.destroyed && response.write(block));
  }
  response.on('drain', go)
  go()
}

/** A server that speaks bytes, not HTTP: what it sends for a path, and then what it goes on with every 50 ms. */
async function rawServer(
  answer: (path: string) => string,
  options: { readonly trickle?: string } = {},
): Promise<{ host: string } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      const path = data.toString('latin1').split(' ')[1] ?? ''
      socket.write(answer(path))
      if (path === '/v2/' || options.trickle === undefined) return
      const timer = setInterval(() => socket.write(options.trickle!), 50)
      socket.on('close', () => clearInterval(timer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, [Symbol.asyncDispose]: close }
}
