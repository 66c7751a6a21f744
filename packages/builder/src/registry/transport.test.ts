import { describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { resolveOptions } from './options.ts'
import { createTransport, discard, type HttpRequest } from './transport.ts'

const GIB = 1024 ** 3

// Small answers come by Node's own client, large ones by undici: nobody can tell by which.
describe.each([
  ['Node', 0],
  ['undici', GIB],
])('a request by %s', (_name, expectedBytes) => {
  async function serve(listener: RequestListener): Promise<AsyncDisposable & { server: Server; url: URL }> {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return {
      server,
      url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a?b=c`),
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  }

  function requestOf(url: URL, more: Partial<HttpRequest> = {}): HttpRequest {
    const common = { registry: url.host, headers: {}, signal: undefined, skipVerify: false, expectedBytes }
    return { method: 'GET', url, ...common, ...more }
  }

  test('carries path, headers and body, and shows status, headers and body', async () => {
    await using served = await serve((request, response) => {
      const said = [request.method, request.url, request.headers['x-one']].join(' ')
      void text(request).then((sent) => response.writeHead(201, { 'x-two': '2' }).end(`${said} ${sent}`))
    })
    const transport = createTransport(resolveOptions())
    const body = Readable.from([Buffer.from('da'), Buffer.from('ta')], { objectMode: false })
    const headers = { 'x-one': '1', 'content-length': '4' }
    const response = await transport.send(requestOf(served.url, { method: 'PUT', headers, body }))
    expect([response.status, response.headers['x-two'], await text(response.body)]).toEqual([
      201,
      '2',
      'PUT /a?b=c 1 data',
    ])
    await transport.close()
  })

  test('leaves the user part of an address to whoever asks for it', async () => {
    await using served = await serve((request, response) => void response.end(String(request.headers.authorization)))
    const transport = createTransport(resolveOptions())
    const url = new URL(String(served.url).replace('//', '//user:p%zz@'))
    expect(await text((await transport.send(requestOf(url))).body)).toBe('undefined')
    await transport.close()
  })

  test('goes over the connection of the one before', async () => {
    await using served = await serve((_, response) => void response.end('x'))
    let connections = 0
    served.server.on('connection', () => connections++)
    const transport = createTransport(resolveOptions())
    for (let count = 0; count < 3; count++) await discard(await transport.send(requestOf(served.url)))
    expect(connections).toBeLessThan(3)
    await transport.close()
  })

  test('ends when its body ends with an error, with that error', async () => {
    await using served = await serve((request, response) => void request.on('end', () => response.end()).resume())
    const transport = createTransport(resolveOptions())
    async function* cut(): AsyncGenerator<Buffer> {
      yield Buffer.from('x')
      throw Object.assign(new Error('the disk is gone'), { code: 'EIO' })
    }
    const sent = transport.send(requestOf(served.url, { method: 'PUT', body: Readable.from(cut()) }))
    await expect(sent).rejects.toMatchObject({ details: { errno: 'EIO' } })
    await transport.close()
  })

  test('shows an answer that comes before the body is sent', async () => {
    await using served = await serve((_, response) => void response.writeHead(413).end('too large'))
    const transport = createTransport(resolveOptions())
    let pieces = 0
    const body = new Readable({
      read: () => void setTimeout(() => body.push(pieces++ < 200 ? 'x'.repeat(1000) : null)),
    })
    const response = await transport.send(requestOf(served.url, { method: 'PUT', body }))
    expect([response.status, await text(response.body)]).toEqual([413, 'too large'])
    await transport.close()
  })

  test.each(['headers', 'body'])('is given up without the %s', async (part) => {
    await using served = await serve((_, response) => void (part === 'body' && response.write('x')))
    const transport = createTransport(resolveOptions({ timeouts: { headersMs: 200, idleMs: 200 } }))
    const read = async (): Promise<string> => text((await transport.send(requestOf(served.url))).body)
    // A body's error is the client's own: who reads it makes the registry's of it.
    const code = part === 'body' ? 'UND_ERR_BODY_TIMEOUT' : 'OCI_REGISTRY_UNREACHABLE'
    await expect(read()).rejects.toMatchObject({ code })
    await transport.close()
  })

  test('a body waits for a slow reader', async () => {
    await using served = await serve((_, response) => void response.end(Buffer.alloc(4 << 20)))
    const transport = createTransport(resolveOptions({ timeouts: { idleMs: 200 } }))
    const { body } = await transport.send(requestOf(served.url))
    let bytes = 0
    for await (const chunk of body) {
      if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 700))
      bytes += (chunk as Buffer).length
    }
    expect(bytes).toBe(4 << 20)
    await transport.close()
  })

  test.each(['headers', 'body'])('is stopped by its signal while it waits for the %s', async (part) => {
    const stop = new AbortController()
    await using served = await serve((_, response) => {
      if (part === 'body') response.write('x')
      setTimeout(() => stop.abort(), 100)
    })
    const transport = createTransport(resolveOptions())
    const read = async (): Promise<string> =>
      text((await transport.send(requestOf(served.url, { signal: stop.signal }))).body)
    await expect(read()).rejects.toThrow()
    await transport.close()
  })
})
