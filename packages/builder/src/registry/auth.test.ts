import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import {
  makeBusyboxBase,
  pushBase,
  type Registry,
  startRegistry,
  startStandIn,
  temporaryDirectory,
  testWith,
} from '@ts-oci/testing'
import { createRegistryClient, type RegistryClient } from './client.ts'
import type { RegistryClientOptions } from './options.ts'

const tools = ['docker-registry', 'skopeo', 'busybox', 'tar', 'openssl']
const noFiles = { HOME: '/nonexistent', XDG_RUNTIME_DIR: '/nonexistent', PATH: process.env['PATH'] }
const quick: RegistryClientOptions = { environment: noFiles, retries: 1, retryDelayMs: 1 }

function login(registry: Registry, password = registry.credentials!.password): RegistryClientOptions {
  return {
    ...quick,
    credentials: { [registry.host]: { kind: 'password', username: registry.credentials!.user, password } },
  }
}

async function fetchTag(client: RegistryClient, reference: string): Promise<string> {
  return (await client.fetchManifest(client.repository(reference), '1')).digest
}

describe.each(['basic', 'token'] as const)('a registry with %s authentication', (auth) => {
  testWith(tools, 'lets in who has the password, and no one else', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry({ auth })
    const reference = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'private/busybox:1')
    await using known = createRegistryClient(login(registry))
    expect(await fetchTag(known, reference)).toMatch(/^sha256:/)
    await using anonymous = createRegistryClient(quick)
    await expect(fetchTag(anonymous, reference)).rejects.toMatchObject({
      code: 'OCI_REGISTRY_UNAUTHORIZED',
      message: expect.stringContaining(auth === 'basic' ? `${registry.host} wants a login` : ''),
      hint: expect.stringContaining(`tsbuild login ${registry.host}`),
    })
  })

  testWith(tools, 'refuses a wrong password, which no message repeats', async () => {
    await using registry = await startRegistry({ auth })
    await using client = createRegistryClient(login(registry, 'my-secret-word'))
    const error: unknown = await fetchTag(client, `${registry.host}/private/x:1`).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'OCI_REGISTRY_UNAUTHORIZED' })
    if (auth === 'basic') expect((error as Error).message).toContain('wants other credentials')
    expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(/my-secret-word|bXktc2VjcmV0LXdvcmQ/)
  })

  testWith(tools, 'is answered from a credential helper', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry({ auth })
    const reference = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'private/busybox:1')
    await mkdir(directory.join('.docker'))
    await writeFile(directory.join('.docker/config.json'), JSON.stringify({ credHelpers: { [registry.host]: 'test' } }))
    const { user, password } = registry.credentials!
    await writeFile(
      directory.join('docker-credential-test'),
      `#!/bin/sh\necho '{"Username":"${user}","Secret":"${password}"}'\n`,
    )
    await chmod(directory.join('docker-credential-test'), 0o755)
    await using client = createRegistryClient({
      ...quick,
      environment: { ...noFiles, HOME: directory.path, PATH: `${directory.path}:${process.env['PATH']}` },
    })
    expect(await fetchTag(client, reference)).toMatch(/^sha256:/)
  })
})

testWith(tools, 'one token serves every request with its scope', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry({ auth: 'token' })
  const reference = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'private/busybox:1')
  const before = registry.tokenService!.requests.length
  await using client = createRegistryClient(login(registry))
  await Promise.all([1, 2, 3].map(() => fetchTag(client, reference)))
  expect(registry.tokenService!.requests.slice(before)).toEqual([
    { scopes: ['repository:private/busybox:pull'], authenticated: true },
  ])
})

describe('a token service', () => {
  const manifest = '{"schemaVersion":2}'

  /** A registry that wants `token`, which the realm at `realm` gives. */
  const registryWith = (realm: () => string, token = 'good') =>
    startStandIn((request, response) => {
      if (request.headers.authorization === `Bearer ${token}`) response.end(manifest)
      else
        response
          .writeHead(401, {
            'www-authenticate': `Bearer realm="${realm()}",service="here",scope="repository:a/b:pull"`,
          })
          .end()
    })

  test('is asked without a name when there are no credentials', async () => {
    await using realm = await startStandIn((_, response) => void response.end('{"token":"good"}'))
    await using registry = await registryWith(() => `http://${realm.host}/token`)
    await using client = createRegistryClient(quick)
    await fetchTag(client, `${registry.host}/a/b`)
    expect(realm.seen.map(({ method, path, headers }) => [method, path, headers.authorization])).toEqual([
      ['GET', '/token?service=here&scope=repository%3Aa%2Fb%3Apull', undefined],
    ])
  })

  test('gets an identity token by POST, never in the address', async () => {
    let body = ''
    await using realm = await startStandIn(async (request, response) => {
      for await (const chunk of request) body += String(chunk)
      response.end('{"access_token":"good"}')
    })
    await using registry = await registryWith(() => `http://${realm.host}/token`)
    await using client = createRegistryClient({
      ...quick,
      credentials: { [registry.host]: { kind: 'identityToken', username: 'u', token: 'refresh-me' } },
    })
    await fetchTag(client, `${registry.host}/a/b`)
    expect(realm.seen.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /token'])
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-me',
      service: 'here',
      client_id: 'tsbuild',
      scope: 'repository:a/b:pull',
    })
  })

  test('whose token the registry refuses is asked once more, then it is over', async () => {
    await using realm = await startStandIn((_, response) => void response.end('{"token":"stale"}'))
    await using registry = await registryWith(() => `http://${realm.host}/token`)
    await using client = createRegistryClient(quick)
    await expect(fetchTag(client, `${registry.host}/a/b`)).rejects.toMatchObject({ code: 'OCI_REGISTRY_UNAUTHORIZED' })
    expect(realm.seen.length).toBeLessThanOrEqual(2)
  })

  test('gets no credential by a redirect', async () => {
    await using thief = await startStandIn((_, response) => void response.end('{"token":"good"}'))
    await using realm = await startStandIn(
      (_, response) => void response.writeHead(307, { location: `http://${thief.host}/` }).end(),
    )
    await using registry = await registryWith(() => `http://${realm.host}/token`)
    await using client = createRegistryClient({
      ...quick,
      credentials: { [registry.host]: { kind: 'password', username: 'u', password: 'p' } },
    })
    await expect(fetchTag(client, `${registry.host}/a/b`)).rejects.toMatchObject({ code: 'OCI_REGISTRY_PROTOCOL' })
    expect(thief.seen).toEqual([])
  })

  test('elsewhere over plain HTTP is not trusted with a password', async () => {
    await using registry = await registryWith(() => 'http://tokens.example/token')
    await using client = createRegistryClient({
      ...quick,
      credentials: { [registry.host]: { kind: 'password', username: 'u', password: 'p' } },
    })
    await expect(fetchTag(client, `${registry.host}/a/b`)).rejects.toMatchObject({
      code: 'OCI_REGISTRY_INSECURE',
      message: expect.stringContaining('tokens.example'),
    })
  })

  test('that smuggles a line end into its token is refused', async () => {
    await using realm = await startStandIn(
      (_, response) => void response.end(JSON.stringify({ token: 'a\r\nX-Evil: 1' })),
    )
    await using registry = await registryWith(() => `http://${realm.host}/token`)
    await using client = createRegistryClient(quick)
    await expect(fetchTag(client, `${registry.host}/a/b`)).rejects.toMatchObject({ code: 'OCI_REGISTRY_PROTOCOL' })
  })

  test('that repeats the password in its refusal does not bring it into our message', async () => {
    await using realm = await startStandIn(
      (_, response) => void response.writeHead(401).end('{"details":"hunter2hunter2 is wrong"}'),
    )
    await using registry = await registryWith(() => `http://${realm.host}/token`)
    await using client = createRegistryClient({
      ...quick,
      credentials: { [registry.host]: { kind: 'password', username: 'u', password: 'hunter2hunter2' } },
    })
    const error: unknown = await fetchTag(client, `${registry.host}/a/b`).catch((caught: unknown) => caught)
    expect(inspect(error, { depth: 20 })).not.toContain('hunter2')
  })
})
