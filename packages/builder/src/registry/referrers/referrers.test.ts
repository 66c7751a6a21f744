import { describe, expect, test } from '@jest/globals'
import {
  makeBusyboxBase,
  pushBase,
  runTool,
  startRegistry,
  startStandIn,
  temporaryDirectory,
  testWith,
} from '@ts-oci/testing'
import { digestOf } from '../../oci/digest.ts'
import { serializeManifest } from '../../oci/manifest.ts'
import { MediaType } from '../../oci/media-types.ts'
import type { Descriptor } from '../../oci/types.ts'
import { createRegistryClient, type RegistryClient } from '../client.ts'
import type { Repository } from '../host.ts'
import type { RegistryClientOptions } from '../options.ts'

const quick: RegistryClientOptions = {
  environment: { HOME: '/nonexistent', CONTAINERS_REGISTRIES_CONF: '/dev/null' },
  retries: 1,
  retryDelayMs: 1,
}
const empty = Buffer.from('{}')
const emptyDescriptor = { mediaType: MediaType.ociEmpty, digest: digestOf(empty), size: empty.length }

/** An artifact that says something about an image. */
async function attach(
  client: RegistryClient,
  repository: Repository,
  subject: Descriptor,
  artifactType: string,
): Promise<string> {
  const bytes = serializeManifest({
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    artifactType,
    config: emptyDescriptor,
    layers: [emptyDescriptor],
    subject,
    annotations: { made: 'here' },
  })
  async function* open(): AsyncIterable<Uint8Array> {
    yield empty
  }
  await client.uploadBlob(repository, emptyDescriptor, { open })
  return await client.putManifest(repository, digestOf(bytes), { bytes, mediaType: MediaType.ociManifest })
}

// Debian's docker-registry keeps no list: the tag stands for it.
testWith(
  ['docker-registry', 'skopeo', 'busybox', 'tar'],
  'what refers to an image is found where a registry keeps no list',
  async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const reference = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'a/busybox:1')
    await using client = createRegistryClient(quick)
    const repository = client.repository(reference)
    const { bytes, digest, contentType } = await client.fetchManifest(repository, '1')
    expect(await client.referrers(repository, digest)).toEqual([])
    const subject = { mediaType: contentType, digest, size: bytes.length }
    const types = ['application/vnd.example.sbom', 'application/vnd.example.signature']
    const digests = [
      await attach(client, repository, subject, types[0]!),
      await attach(client, repository, subject, types[1]!),
    ]
    expect(
      (await client.referrers(repository, digest)).map((one) => [one.digest, one.artifactType, one.annotations]),
    ).toEqual(digests.map((one, at) => [one, types[at], { made: 'here' }]))
    expect(await client.referrers(repository, digest, { artifactType: types[1] })).toHaveLength(1)
    // As the specification names the tag; another tool reads it.
    const tag = digest.replace(':', '-')
    const raw = await runTool('skopeo', [
      'inspect',
      '--raw',
      '--tls-verify=false',
      `docker://${registry.host}/a/busybox:${tag}`,
    ])
    expect(JSON.parse(raw.stdout)).toMatchObject({
      mediaType: MediaType.ociIndex,
      manifests: digests.map((one) => ({ digest: one })),
    })
    // What was told once is not told twice.
    await attach(client, repository, subject, types[1]!)
    expect(await client.referrers(repository, digest)).toHaveLength(2)
  },
)

describe('a registry that keeps the list', () => {
  const subject = digestOf('subject')
  const one = (name: string, artifactType = 'a/b') => ({
    mediaType: MediaType.ociManifest,
    digest: digestOf(name),
    size: 1,
    artifactType,
  })
  const indexOf = (manifests: readonly object[]) =>
    JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests })
  const type = { 'content-type': MediaType.ociIndex }

  test('is asked page by page, and filters need not be its own', async () => {
    await using registry = await startStandIn((request, response) => {
      if (request.url === '/v2/') response.end('{}')
      else if (request.url?.includes('last=') === true)
        response.writeHead(200, type).end(indexOf([one('z'), one('y', 'c/d')]))
      else
        response
          .writeHead(200, { ...type, link: `</v2/a/referrers/${subject}?last=x>; rel="next"` })
          .end(indexOf([one('x')]))
    })
    await using client = createRegistryClient(quick)
    const found = await client.referrers(client.repository(`${registry.host}/a`), subject, { artifactType: 'a/b' })
    expect(found.map(({ digest }) => digest)).toEqual([digestOf('x'), digestOf('z')])
    expect(registry.seen[1]?.path).toBe(`/v2/a/referrers/${subject}?artifactType=a%2Fb`)
  })

  test('and says so when something is pushed gets no tag for it', async () => {
    await using registry = await startStandIn(
      (_, response) => void response.writeHead(201, { 'oci-subject': subject }).end(),
    )
    await using client = createRegistryClient(quick)
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, subject: { digest: subject } }))
    await client.putManifest(client.repository(`${registry.host}/a`), '1', { bytes, mediaType: MediaType.ociManifest })
    expect(registry.seen.filter(({ path }) => path !== '/v2/')).toHaveLength(1)
  })

  test.each([
    ['without an end', (path: string) => `${path}x`],
    ['on another host', () => 'http://127.0.0.1:1/v2/a/referrers/x'],
  ])('%s is given up', async (_, next) => {
    await using registry = await startStandIn((request, response) => {
      if (request.url === '/v2/') response.end('{}')
      else
        response.writeHead(200, { ...type, link: `<${next(request.url ?? '')}>; rel="next"` }).end(indexOf([one('x')]))
    })
    await using client = createRegistryClient(quick)
    await expect(client.referrers(client.repository(`${registry.host}/a`), subject)).rejects.toMatchObject({
      code: 'OCI_REGISTRY_PROTOCOL',
    })
    expect(registry.seen.length).toBeLessThan(110)
  })
})
