import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { describe, expect } from '@jest/globals'
import {
  checkTool,
  makeBusyboxBase,
  type Registry,
  startFaultyProxy,
  startRegistry,
  temporaryDirectory,
  testWith,
  writeImageLayout,
} from '@ts-oci/testing'
import { openStore } from '../store/store.ts'
import type { BlobStore, Store } from '../store/types.ts'
import { MediaType } from '../oci/media-types.ts'
import { createRegistryClient } from './client.ts'
import type { RegistryClientOptions } from './options.ts'
import { pushImage, type PushProgress, type PushSource } from './push.ts'

const tools = ['docker-registry', 'skopeo', 'busybox', 'tar']
const noFiles = { HOME: '/nonexistent', XDG_RUNTIME_DIR: '/nonexistent', PATH: process.env['PATH'] }
const quick: RegistryClientOptions = { environment: noFiles, retries: 2, retryDelayMs: 1 }

/** A layout that another tool's rules wrote, taken into a store; returns its manifest. */
async function importLayout(
  layout: string,
  store: Store,
): Promise<PushSource & { readonly layers: readonly string[] }> {
  for (const name of await readdir(`${layout}/blobs/sha256`)) {
    const writer = store.blobs.createWriter()
    for await (const chunk of createReadStream(`${layout}/blobs/sha256/${name}`))
      await writer.write(chunk as Uint8Array)
    await writer.commit()
  }
  const index = JSON.parse(await readFile(`${layout}/index.json`, 'utf8')) as {
    manifests: [{ mediaType: string; digest: string }]
  }
  const [{ mediaType, digest }] = index.manifests
  const bytes = await readFile(`${layout}/blobs/${digest.replace(':', '/')}`)
  return {
    mediaType,
    bytes,
    layers: ((JSON.parse(bytes.toString()) as { layers?: { digest: string }[] }).layers ?? []).map(
      (layer) => layer.digest,
    ),
  }
}

/** What skopeo makes of a pushed reference: every blob fetched and verified. */
async function fetchBySkopeo(reference: string, target: string, registry?: Registry): Promise<string> {
  const known = registry?.credentials
  const login = known === undefined ? [] : ['--src-creds', `${known.user}:${known.password}`]
  await checkTool('skopeo', [
    '--insecure-policy',
    'copy',
    '--all',
    '--src-tls-verify=false',
    ...login,
    `docker://${reference}`,
    `oci:${target}:x`,
  ])
  const index = JSON.parse(await readFile(`${target}/index.json`, 'utf8')) as { manifests: [{ digest: string }] }
  return index.manifests[0].digest
}

testWith(tools, 'an image is pushed whole, with its bytes reported, and skopeo finds every blob right', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry()
  await using store = await openStore({ root: directory.join('store') })
  await using client = createRegistryClient(quick)
  await makeBusyboxBase(directory.join('busybox'))
  const source = await importLayout(directory.join('busybox'), store)
  const events: PushProgress[] = []
  const pushed = await pushImage(client, source, `${registry.host}/team/app:1`, {
    blobs: store.blobs,
    onProgress: (event) => void events.push(event),
  })
  expect(pushed).toEqual({
    name: `${registry.host}/team/app:1`,
    sizeBytes: source.bytes.length,
    digest: `sha256:${createHash('sha256').update(source.bytes).digest('hex')}`,
  })
  expect(await fetchBySkopeo(pushed.name, directory.join('back'))).toBe(pushed.digest)
  const layer = events.filter((event) => event.digest === source.layers[0])
  expect(layer.at(-1)).toMatchObject({ outcome: 'uploaded', current: layer.at(-1)!.total })
  expect(layer.length).toBeGreaterThan(3)
})

testWith(tools, 'a second push sends no blob', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry()
  await using store = await openStore({ root: directory.join('store') })
  await using line = await startFaultyProxy(registry.host, () => undefined)
  await makeBusyboxBase(directory.join('busybox'))
  const source = await importLayout(directory.join('busybox'), store)
  await using first = createRegistryClient(quick)
  await pushImage(first, source, `${line.host}/team/app:1`, { blobs: store.blobs })
  const before = line.seen.length
  await using second = createRegistryClient(quick)
  const outcomes: (string | undefined)[] = []
  await pushImage(second, source, `${line.host}/team/app:2`, {
    blobs: store.blobs,
    onProgress: ({ outcome }) => void (outcome && outcomes.push(outcome)),
  })
  expect(outcomes).toEqual(['exists', 'exists'])
  expect(new Set(line.seen.slice(before).map(({ method, path }) => `${method} ${path.split('/').at(-2)}`))).toEqual(
    new Set(['GET v2', 'HEAD blobs', 'PUT manifests']),
  )
})

describe.each(['none', 'basic', 'token'] as const)('with authentication %s', (auth) => {
  testWith([...tools, 'openssl'], 'blobs of another repository are mounted, not sent', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry({ auth })
    await using store = await openStore({ root: directory.join('store') })
    const known = registry.credentials
    await using client = createRegistryClient({
      ...quick,
      ...(known === undefined
        ? {}
        : { credentials: { [registry.host]: { kind: 'password', username: known.user, password: known.password } } }),
    })
    await makeBusyboxBase(directory.join('busybox'))
    const source = await importLayout(directory.join('busybox'), store)
    await pushImage(client, source, `${registry.host}/base/one:1`, { blobs: store.blobs })
    const outcomes = new Map<string, string>()
    // A store that holds nothing but what it knows: the layer cannot come from here.
    const without: BlobStore = {
      ...store.blobs,
      has: (digest) => !source.layers.includes(digest) && store.blobs.has(digest),
    }
    const pushed = await pushImage(client, source, `${registry.host}/app/two:1`, {
      blobs: without,
      referencesOf: () => [`${registry.host}/base/one:1`],
      onProgress: ({ digest, outcome }) => void (outcome && outcomes.set(digest, outcome)),
    })
    expect([...outcomes.values()]).toEqual(['mounted', 'mounted'])
    expect(await fetchBySkopeo(pushed.name, directory.join('back'), registry)).toBe(pushed.digest)
  })
})

testWith(tools, 'a layer that is only in another registry is carried over', async () => {
  await using directory = await temporaryDirectory()
  await using from = await startRegistry()
  await using to = await startRegistry()
  await using store = await openStore({ root: directory.join('store') })
  await using client = createRegistryClient(quick)
  await makeBusyboxBase(directory.join('busybox'))
  const source = await importLayout(directory.join('busybox'), store)
  await pushImage(client, source, `${from.host}/base:1`, { blobs: store.blobs })
  const without: BlobStore = {
    ...store.blobs,
    has: (digest) => !source.layers.includes(digest) && store.blobs.has(digest),
  }
  await expect(pushImage(client, source, `${to.host}/app:1`, { blobs: without })).rejects.toMatchObject({
    code: 'OCI_BLOB_NOT_FOUND',
  })
  const pushed = await pushImage(client, source, `${to.host}/app:1`, {
    blobs: without,
    referencesOf: () => [`${from.host}/base:1`],
  })
  expect(await fetchBySkopeo(pushed.name, directory.join('back'))).toBe(pushed.digest)
})

testWith(tools, 'an index is pushed with the images that it names', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry()
  await using store = await openStore({ root: directory.join('store') })
  await using client = createRegistryClient(quick)
  const manifests: object[] = []
  for (const architecture of ['amd64', 'arm64']) {
    await writeImageLayout(directory.join(architecture), { layers: [Buffer.alloc(1024)], architecture })
    const { bytes, mediaType } = await importLayout(directory.join(architecture), store)
    manifests.push({
      mediaType,
      digest: store.blobs.put(bytes),
      size: bytes.length,
      platform: { os: 'linux', architecture },
    })
  }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests }))
  const pushed = await pushImage(client, { bytes, mediaType: MediaType.ociIndex }, `${registry.host}/both:1`, {
    blobs: store.blobs,
  })
  expect(await fetchBySkopeo(pushed.name, directory.join('back'))).toBe(pushed.digest)
  expect((await readdir(directory.join('back/blobs/sha256'))).length).toBe(6)
})

describe('a bad line', () => {
  testWith(tools, 'an upload that is cut is sent again', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await using store = await openStore({ root: directory.join('store') })
    await makeBusyboxBase(directory.join('busybox'))
    const source = await importLayout(directory.join('busybox'), store)
    let uploads = 0
    await using line = await startFaultyProxy(registry.host, (request) => {
      const isLayer =
        (request.method === 'PUT' || request.method === 'PATCH') && Number(request.headers['content-length']) > 100_000
      return isLayer && ++uploads <= 2 ? { cutRequestAfter: 200_000 } : undefined
    })
    // More tries than cuts: the server may still be busy with the connection that was cut, and end the next one itself.
    await using client = createRegistryClient({ ...quick, retries: 5 })
    const pushed = await pushImage(client, source, `${line.host}/app:1`, { blobs: store.blobs })
    expect(await fetchBySkopeo(`${registry.host}/app:1`, directory.join('back'))).toBe(pushed.digest)
    expect(uploads).toBeGreaterThan(2)
  })

  testWith(tools, 'a proxy that takes no large bodies gets pieces', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await using store = await openStore({ root: directory.join('store') })
    await makeBusyboxBase(directory.join('busybox'))
    const source = await importLayout(directory.join('busybox'), store)
    await using line = await startFaultyProxy(registry.host, (request) =>
      request.method === 'PUT' && Number(request.headers['content-length']) > 100_000 ? { status: 413 } : undefined,
    )
    await using client = createRegistryClient(quick)
    const pushed = await pushImage(client, source, `${line.host}/app:1`, { blobs: store.blobs })
    expect(await fetchBySkopeo(`${registry.host}/app:1`, directory.join('back'))).toBe(pushed.digest)
  })

  testWith(tools, 'a registry that says it stored something else is not believed', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await using store = await openStore({ root: directory.join('store') })
    await makeBusyboxBase(directory.join('busybox'))
    const source = await importLayout(directory.join('busybox'), store)
    await using line = await startFaultyProxy(registry.host, (request) =>
      request.path.includes('/manifests/')
        ? { headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } }
        : undefined,
    )
    await using client = createRegistryClient(quick)
    await expect(pushImage(client, source, `${line.host}/app:1`, { blobs: store.blobs })).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
    })
  })

  testWith(
    tools,
    'a blob that is damaged in the store is not taken by the registry, and the tag is not set',
    async () => {
      await using directory = await temporaryDirectory()
      await using registry = await startRegistry()
      await using store = await openStore({ root: directory.join('store') })
      await makeBusyboxBase(directory.join('busybox'))
      const source = await importLayout(directory.join('busybox'), store)
      const path = store.blobs.path(source.layers[0] as Parameters<BlobStore['path']>[0])
      const bytes = await readFile(path)
      bytes[1000]! ^= 1
      await checkTool('chmod', ['u+w', path])
      await writeFile(path, bytes)
      await using client = createRegistryClient(quick)
      await expect(pushImage(client, source, `${registry.host}/app:1`, { blobs: store.blobs })).rejects.toMatchObject({
        code: expect.stringMatching(/^OCI_(REGISTRY_PROTOCOL|DIGEST_MISMATCH)$/),
      })
      await expect(client.fetchManifest(client.repository(`${registry.host}/app`), '1')).rejects.toMatchObject({
        code: 'OCI_REGISTRY_NOT_FOUND',
      })
    },
  )
})
