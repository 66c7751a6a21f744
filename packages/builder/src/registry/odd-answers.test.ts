import { expect, test } from '@jest/globals'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { startStandIn } from '@ts-oci/testing'
import { digestOf } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'
import { createRegistryClient } from './client.ts'

const content = Buffer.alloc(1000, 'layer')
const layer: Descriptor = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: digestOf(content),
  size: content.length,
}
const OK = `HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\n\r\n`
const PING = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'

/** A registry that answers each request of a connection, counted from 0, as the test says. */
async function rawRegistry(answer: (socket: Socket, request: string, count: number) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    let count = 0
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => answer(socket, data.toString('latin1'), count++))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => sockets.size,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

function clientOf(retries: number) {
  return createRegistryClient({ environment: {}, retries, retryDelayMs: 1, timeouts: { headersMs: 3000 } })
}

async function pull(host: string, retries: number): Promise<Buffer> {
  await using client = clientOf(retries)
  return Buffer.concat(await Array.fromAsync(client.fetchBlob(client.repository(`${host}/a`), layer)))
}

async function push(host: string): Promise<string> {
  await using client = clientOf(0)
  const open = async function* (offset: number): AsyncIterable<Uint8Array> {
    yield content.subarray(offset)
  }
  return await client.uploadBlob(client.repository(`${host}/a`), layer, { open })
}

test('an answer that switches protocols ends the request', async () => {
  await using registry = await rawRegistry((socket, request) =>
    socket.write(
      request.startsWith('GET /v2/ ')
        ? PING
        : 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    ),
  )
  await expect(pull(registry.host, 0)).rejects.toMatchObject({ code: 'OCI_REGISTRY_UNREACHABLE' })
}, 10_000)

test('a kept connection that its server cuts is replaced by a new one, without counting as a try', async () => {
  await using registry = await rawRegistry((socket, request, count) => {
    if (count > 0) socket.resetAndDestroy()
    else if (request.startsWith('GET /v2/ ')) socket.write(PING)
    else socket.write(Buffer.concat([Buffer.from(OK), content]))
  })
  expect(await pull(registry.host, 0)).toEqual(content)
  expect(registry.connections()).toBe(2)
})

test.each([
  { retries: 0, requests: 1 },
  { retries: 1, requests: 2 },
  { retries: 3, requests: 4 },
])('a blob that does not come is asked for as often as was said: %j', async ({ retries, requests }) => {
  await using registry = await startStandIn((request, response) => {
    if (request.url === '/v2/') response.end('{}')
    else response.writeHead(503).end()
  })
  await expect(pull(registry.host, retries)).rejects.toMatchObject({ details: { status: 503 } })
  expect(registry.seen.filter(({ path }) => path !== '/v2/')).toHaveLength(requests)
})

test('an answer whose body comes in drops and is not needed holds nothing up', async () => {
  await using registry = await startStandIn((request, response) => {
    request.resume()
    if (request.url === '/v2/') return void response.end('{}')
    if (request.method === 'HEAD') return void response.writeHead(404).end()
    if (request.method !== 'POST') return void request.on('end', () => response.writeHead(201).end())
    const drops = setInterval(() => response.write('.'), 50)
    response.writeHead(202, { location: '/upload' }).on('close', () => clearInterval(drops))
  })
  expect(await push(registry.host)).toBe('uploaded')
}, 10_000)

test('where a redirect makes a GET of a PUT, nothing tells of a body that is not there', async () => {
  await using registry = await startStandIn((request, response) => {
    request.resume()
    if (request.url === '/v2/') return void response.end('{}')
    if (request.method === 'HEAD') return void response.writeHead(404).end()
    if (request.method === 'POST') return void response.writeHead(202, { location: '/upload' }).end()
    request.on('end', () =>
      request.method === 'PUT' ? response.writeHead(302, { location: '/done' }).end() : response.writeHead(201).end(),
    )
  })
  expect(await push(registry.host)).toBe('uploaded')
  const [redirected] = registry.seen.filter(({ path }) => path === '/done')
  expect(redirected?.method).toBe('GET')
  expect(Object.keys(redirected?.headers ?? {}).filter((name) => name.startsWith('content-'))).toEqual([])
})

test.each([
  [416, 'Range Not Satisfiable'],
  [404, 'a blob that it does not know in this range'],
  [400, 'a bad request'],
])(
  'a registry that answers a range with %i gives the blob from its beginning, and the rest is taken of that',
  async (status) => {
    const large = Buffer.alloc(300_000, 'layer')
    const ranges: (string | undefined)[] = []
    await using registry = await startStandIn((request, response) => {
      if (request.url === '/v2/') return void response.end('{}')
      ranges.push(request.headers.range)
      if (request.headers.range !== undefined) return void response.writeHead(status).end()
      response.writeHead(200, { 'content-length': large.length })
      if (ranges.length > 1) return void response.end(large)
      response.write(large.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20))
    })
    await using client = createRegistryClient({ retries: 1, retryDelayMs: 1 })
    const descriptor = { mediaType: 'x/y', digest: digestOf(large), size: large.length }
    const chunks: Uint8Array[] = []
    for await (const chunk of client.fetchBlob(client.repository(`${registry.host}/a`), descriptor)) chunks.push(chunk)
    expect(digestOf(Buffer.concat(chunks))).toBe(descriptor.digest)
    expect(ranges).toEqual([undefined, 'bytes=100000-299999', undefined])
  },
)

test.each([
  ['twice', 2, 3],
  ['always', 10, 4],
])('a registry that does not know yet what a manifest names is sent it again: %s', async (_, refusals, requests) => {
  let left = refusals
  await using registry = await startStandIn((request, response) => {
    if (request.url === '/v2/') return void response.end('{}')
    request.resume()
    const errors = [
      { code: 'DIGEST_INVALID', message: 'provided digest did not match' },
      { code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown to registry' },
    ]
    response.writeHead(left-- > 0 ? 400 : 201).end(JSON.stringify({ errors }))
  })
  await using client = createRegistryClient({ environment: { HOME: '/nonexistent' }, retryDelayMs: 1 })
  const manifest = { bytes: Buffer.from('{}'), mediaType: 'application/vnd.oci.image.manifest.v1+json' }
  const put = client.putManifest(client.repository(`${registry.host}/a`), '1', manifest)
  if (refusals < requests) expect(await put).toMatch(/^sha256:/)
  else
    await expect(put).rejects.toMatchObject({
      code: 'OCI_REGISTRY_PROTOCOL',
      message: expect.stringContaining('MANIFEST_BLOB_UNKNOWN: blob unknown to registry'),
    })
  expect(registry.seen.filter(({ method }) => method === 'PUT')).toHaveLength(requests)
})
