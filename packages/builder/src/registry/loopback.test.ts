import { expect, test } from '@jest/globals'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { resolveOptions } from './options.ts'
import { createTransport, type HttpRequest } from './transport.ts'

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
const addresses = ['127.0.0.1', '::1'].filter((address) => address !== '::1' || hasIpv6)
if (!hasIpv6) test.skip('a server on ::1 (this machine has no IPv6 on loopback)', () => undefined)

async function serveOn(address: string): Promise<AsyncDisposable & { readonly url: URL }> {
  const server = createServer((request, response) => {
    void text(request).then((sent) => response.end(`${request.headers.host} ${sent}`))
  }).listen(0, address)
  await once(server, 'listening')
  return {
    url: new URL(`http://localhost:${(server.address() as AddressInfo).port}/`),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function requestOf(url: URL, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', url, registry: url.host, headers: {}, signal: undefined, skipVerify: false, ...more }
}

async function answerTo(transport: ReturnType<typeof createTransport>, request: HttpRequest): Promise<string> {
  return await text((await transport.send(request)).body)
}

test.each(addresses)('localhost is found on %s alone, by what is streamed, too', async (address) => {
  await using served = await serveOn(address)
  const transport = createTransport(resolveOptions())
  const { url } = served
  expect(await answerTo(transport, requestOf(url))).toBe(`${url.host} `)
  const body = Readable.from([Buffer.from('data')], { objectMode: false })
  expect(await answerTo(transport, requestOf(url, { method: 'PUT', body }))).toBe(`${url.host} data`)
  await transport.close()
})

test.each(addresses)('localhost on %s is found by a first request that is streamed', async (address) => {
  await using served = await serveOn(address)
  const transport = createTransport(resolveOptions())
  const body = Readable.from([Buffer.from('data')], { objectMode: false })
  expect(await answerTo(transport, requestOf(served.url, { method: 'PUT', body }))).toBe(`${served.url.host} data`)
  await transport.close()
})

test('a localhost where nobody listens refuses', async () => {
  let url: URL
  {
    await using served = await serveOn('127.0.0.1')
    ;({ url } = served)
  }
  const transport = createTransport(resolveOptions())
  await expect(transport.send(requestOf(url))).rejects.toMatchObject({
    code: 'OCI_REGISTRY_UNREACHABLE',
    details: { errno: 'ECONNREFUSED' },
  })
  await transport.close()
})

test('localhost is not given up because this process was busy while it answered', async () => {
  await using served = await serveOn('127.0.0.1')
  const transport = createTransport(resolveOptions())
  const answer = answerTo(transport, requestOf(served.url))
  // The connection is begun; then nothing is done for longer than Node waits for one of two addresses.
  await Promise.resolve().then(() => undefined)
  const endMs = Date.now() + 400
  while (Date.now() < endMs);
  expect(await answer).toBe(`${served.url.host} `)
  await transport.close()
})
