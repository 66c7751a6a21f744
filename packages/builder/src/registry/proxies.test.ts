import { expect, test } from '@jest/globals'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { checkTool, temporaryDirectory, testWith } from '@ts-oci/testing'
import { resolveOptions } from './options.ts'
import { proxyFor } from './proxies.ts'
import { createTransport } from './transport.ts'

const PROXY = 'http://proxy:3128'

// Expected: what httpproxy of golang.org/x/net documents, which Docker, Podman, skopeo and crane go by.
test.each([
  ['http://r.example/', { HTTP_PROXY: PROXY }, `${PROXY}/`],
  ['http://r.example/', { http_proxy: PROXY }, `${PROXY}/`],
  ['http://r.example/', { http_proxy: '', HTTP_PROXY: PROXY }, `${PROXY}/`],
  ['https://r.example/', { HTTPS_PROXY: PROXY }, `${PROXY}/`],
  ['https://r.example/', { HTTPS_PROXY: 'proxy:3128' }, `${PROXY}/`],
  ['http://r.example/', { HTTP_PROXY: '10.1.1.1:3128' }, 'http://10.1.1.1:3128/'],
  ['https://r.example/', { HTTP_PROXY: PROXY }, undefined],
  ['http://r.example/', { HTTPS_PROXY: PROXY }, undefined],
  ['http://r.example/', { ALL_PROXY: PROXY }, undefined],
  ['http://localhost:5000/', { HTTP_PROXY: PROXY }, undefined],
  ['http://127.8.0.1/', { HTTP_PROXY: PROXY }, undefined],
  ['http://[::1]:5000/', { HTTP_PROXY: PROXY }, undefined],
])('the proxy before %s with %j is %s', (url, environment, expected) => {
  expect(proxyFor(new URL(url), environment)?.href).toBe(expected)
})

test.each([
  ['r.example', 'r.example', true],
  ['r.example', 'R.Example', true],
  ['r.example', 'example', true],
  ['r.example', '.example', true],
  ['r.example', '*.example', true],
  ['example', '.example', false],
  ['rexample', 'example', false],
  ['r.example', ' a , r.example ', true],
  ['r.example:5000', 'r.example:5000', true],
  ['r.example:5000', 'r.example:5001', false],
  ['r.example', 'r.example:443', true],
  ['r.example', '*', true],
  ['r.example', ',,', false],
  ['10.1.2.3', '10.0.0.0/8', true],
  ['11.1.2.3', '10.0.0.0/8', false],
  ['10.1.2.3', '10.0.0.0/99', false],
  ['10.1.2.3', '10.1.2.3', true],
  ['10.1.2.3', '2.3', false],
  ['10.1.2.3:5000', '10.1.2.3:5001', false],
  ['[fd00::1]', 'fd00::/8', true],
  ['[fd00::1]', 'fd00:0::1', true],
  ['[fd00::1]:5000', '[fd00::1]:5000', true],
  ['r.example', '10.0.0.0/8', false],
])('%s goes without a proxy where NO_PROXY is %s: %s', (host, list, isDirect) => {
  const found = proxyFor(new URL(`https://${host}/`), { HTTPS_PROXY: PROXY, NO_PROXY: list })
  expect(found === undefined).toBe(isDirect)
})

test.each(['ftp://proxy', 'http://', 'a b', 'http://user:secret@proxy:999999'])(
  'a proxy %j is refused, and not quoted',
  async (value) => {
    const transport = createTransport(resolveOptions({ environment: { HTTP_PROXY: value } }))
    const sent = transport.send(requestTo('http://r.example/'))
    await expect(sent).rejects.toMatchObject({
      code: 'OCI_OPTION_INVALID',
      message: expect.not.stringContaining('secret'),
    })
    await transport.close()
  },
)

test('a proxy that is not there, and one that refuses the way, are named', async () => {
  await using proxy = await startProxy(() => 407)
  for (const [address, message] of [
    [proxy.host, `by the proxy ${proxy.host}`],
    ['127.0.0.1:1', 'by the proxy 127.0.0.1:1'],
  ]) {
    const transport = createTransport(resolveOptions({ environment: { HTTPS_PROXY: `http://u:secret@${address}` } }))
    await expect(transport.send(requestTo('https://r.example/'))).rejects.toMatchObject({
      code: 'OCI_REGISTRY_UNREACHABLE',
      message: expect.stringContaining(message!),
    })
    await transport.close()
  }
  expect(proxy.asked).toEqual([`r.example:443 Basic ${Buffer.from('u:secret').toString('base64')}`])
})

testWith(['openssl'], 'HTTPS goes through a proxy, in a tunnel that it cannot read', async () => {
  await using directory = await temporaryDirectory()
  const [key, cert] = [directory.join('key.pem'), directory.join('cert.pem')]
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=r.example', '-days', '2']
  await checkTool('openssl', [...request, '-keyout', key, '-out', cert])
  const server = createTlsServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) => {
    response.end('over TLS')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  await using proxy = await startProxy(() => (server.address() as AddressInfo).port)
  const transport = createTransport(resolveOptions({ environment: { HTTPS_PROXY: proxy.host } }))
  try {
    const response = await transport.send({ ...requestTo('https://r.example/'), skipVerify: true })
    expect(Buffer.concat(await response.body.toArray()).toString()).toBe('over TLS')
    expect(proxy.asked).toEqual(['r.example:443 undefined'])
    await expect(transport.send(requestTo('https://r.example/'))).rejects.toMatchObject({
      code: 'OCI_REGISTRY_INSECURE',
    })
  } finally {
    await transport.close()
    server.closeAllConnections()
    server.close()
  }
})

function requestTo(url: string) {
  return {
    method: 'GET' as const,
    url: new URL(url),
    headers: {},
    signal: undefined,
    registry: 'r.example',
    skipVerify: false,
  }
}

/** A proxy that leads every tunnel to one port of this machine, or refuses it with a status. */
async function startProxy(answer: () => number) {
  const asked: string[] = []
  const server = createServer().listen(0, '127.0.0.1')
  server.on('connect', (request, socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization']}`)
    const to = answer()
    if (to === 407) return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    const onward = connect(to, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    for (const one of [socket, onward]) one.on('error', () => undefined)
  })
  await once(server, 'listening')
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
