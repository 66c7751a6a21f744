import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith, findTool, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { digestOf } from '../oci/digest.ts'
import { createRegistryClient } from './client.ts'
import type { RegistryClientOptions } from './options.ts'

let directory: TemporaryDirectory

/** A private authority, a server's certificate of it for 127.0.0.1, and a client's. */
async function makeCertificates(): Promise<void> {
  const openssl = (...words: string[]): Promise<unknown> => checkTool('openssl', words, { cwd: directory.path })
  const request = ['req', '-newkey', 'rsa:2048', '-nodes']
  await openssl(
    ...request,
    '-x509',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-subj',
    '/CN=private authority',
    '-days',
    '2',
  )
  await writeFile(directory.join('names'), 'subjectAltName=IP:127.0.0.1\n')
  for (const name of ['server', 'client']) {
    await openssl(...request, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const extra = name === 'server' ? ['-extfile', 'names'] : []
    const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2']
    await openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.cert`, ...by, ...extra)
  }
}

/** A registry over TLS that says who came. */
async function startTls(wantsClient: boolean) {
  const read = (name: string): Buffer => readFileSync(directory.join(name))
  const tls = { key: read('server.key'), cert: read('server.cert'), ca: read('ca.crt') }
  const clients: string[] = []
  const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: wantsClient }, (request, response) => {
    const who: unknown = (request.socket as TLSSocket).getPeerCertificate().subject?.CN
    clients.push(typeof who === 'string' ? who : 'nobody')
    response.end('{}')
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    server.close()
  }
  return { host, clients, [Symbol.asyncDispose]: stop }
}

beforeAll(async () => {
  directory = await temporaryDirectory()
  if (findTool('openssl') !== undefined) await makeCertificates()
})
afterAll(async () => directory?.[Symbol.asyncDispose]())

async function folder(path: string, names: readonly string[]): Promise<string> {
  await mkdir(directory.join(path), { recursive: true })
  for (const name of names) await copyFile(directory.join(name), directory.join(path, name))
  return directory.join(path)
}

async function ask(host: string, options: RegistryClientOptions): Promise<string> {
  const environment = { HOME: directory.join('home'), CONTAINERS_REGISTRIES_CONF: '/dev/null', ...options.environment }
  await using client = createRegistryClient({ retries: 0, ...options, environment })
  return await client.fetchManifest(client.repository(`${host}/a`), '1').then(
    () => 'answered',
    (error: { code: string }) => error.code,
  )
}

describeWith(['openssl'], 'certificates of a registry', () => {
  test.each(['containers', 'docker'])("lie in the user's folder of %s for that host", async (kind) => {
    await using registry = await startTls(false)
    const home = `home-${kind}`
    const environment = { HOME: directory.join(home), CONTAINERS_REGISTRIES_CONF: '/dev/null' }
    expect(await ask(registry.host, { environment })).toBe('OCI_REGISTRY_INSECURE')
    await folder(`${home}/.config/${kind}/certs.d/${registry.host}`, ['ca.crt'])
    expect(await ask(registry.host, { environment })).toBe('answered')
    // Another host has its own.
    await using other = await startTls(false)
    expect(await ask(other.host, { environment })).toBe('OCI_REGISTRY_INSECURE')
  })

  test('a client certificate is shown to a registry that wants one', async () => {
    await using registry = await startTls(true)
    const authority = await folder('authority', ['ca.crt'])
    expect(await ask(registry.host, { certDir: authority })).toMatch(/^OCI_REGISTRY_/)
    const certDir = await folder('both', ['ca.crt', 'client.cert', 'client.key'])
    expect(await ask(registry.host, { certDir })).toBe('answered')
    expect(new Set(registry.clients)).toEqual(new Set(['client']))
  })

  test('options name them for one host, and no other gets them', async () => {
    await using registry = await startTls(true)
    const path = (name: string): string => directory.join(name)
    const authority = `${registry.host}=${path('ca.crt')}`
    const pair = `${registry.host}=${path('client.cert')},${path('client.key')}`
    expect(await ask(registry.host, { certificates: [authority] })).toMatch(/^OCI_REGISTRY_/)
    expect(await ask(registry.host, { certificates: [authority, pair] })).toBe('answered')
    const everyPort = [authority, pair].map((text) => text.replace(/:\d+=/, '='))
    expect(await ask(registry.host, { certificates: everyPort })).toBe('answered')
    expect(registry.clients.every((name) => name === 'client')).toBe(true)
    await using other = await startTls(false)
    expect(await ask(other.host, { certificates: [authority, pair] })).toBe('OCI_REGISTRY_INSECURE')
    const missing = [`${registry.host}=/nonexistent`]
    expect(await ask(registry.host, { certificates: missing })).toBe('OCI_OPTION_INVALID')
  })

  test('a large blob takes them, too', async () => {
    await using registry = await startTls(true)
    const certDir = await folder('large', ['ca.crt', 'client.cert', 'client.key'])
    await using client = createRegistryClient({ retries: 0, certDir, environment: { HOME: '/nonexistent' } })
    const layer = { mediaType: 'x/y', digest: digestOf('it'), size: 200 << 20 }
    const blob = client.fetchBlob(client.repository(`${registry.host}/a`), layer)
    // It is not there, but the server was spoken to.
    await expect(blob.next()).resolves.toMatchObject({ done: false })
    await blob.return()
    expect(registry.clients.at(-1)).toBe('client')
  })

  test('buildkitd.toml names them, too', async () => {
    await using registry = await startTls(true)
    const path = (name: string): string => directory.join(name)
    const text = `[registry."${registry.host}"]\nca = ["${path('ca.crt')}"]\n[[registry."${registry.host}".keypair]]\nkey = "${path('client.key')}"\ncert = "${path('client.cert')}"\n`
    await writeFile(path('buildkitd.toml'), text)
    expect(await ask(registry.host, { registriesConf: path('buildkitd.toml') })).toBe('answered')
  })

  test.each([
    [['client.cert'], 'has no client.key beside it'],
    [['client.key'], 'has no client.cert beside it'],
    [['names'], undefined],
  ])('half of a pair is told: %j', async (names, message) => {
    await using registry = await startTls(false)
    const certDir = await folder(`half-${names.join()}`, names)
    await using client = createRegistryClient({ retries: 0, certDir, environment: { HOME: '/nonexistent' } })
    const asked = client.fetchManifest(client.repository(`${registry.host}/a`), '1')
    const expected =
      message === undefined
        ? { code: 'OCI_REGISTRY_INSECURE' }
        : { code: 'OCI_OPTION_INVALID', message: expect.stringContaining(message) }
    await expect(asked).rejects.toMatchObject(expected)
  })

  test('what is no certificate is told, and nothing of a key', async () => {
    await using registry = await startTls(false)
    const certDir = await folder('broken', ['client.cert'])
    await writeFile(`${certDir}/client.key`, 'my-secret-key')
    await using client = createRegistryClient({ retries: 0, certDir, environment: { HOME: '/nonexistent' } })
    const error: unknown = await client
      .fetchManifest(client.repository(`${registry.host}/a`), '1')
      .catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'OCI_OPTION_INVALID', message: expect.stringContaining('client.key') })
    expect(String((error as Error).stack)).not.toContain('my-secret')
  })
})
