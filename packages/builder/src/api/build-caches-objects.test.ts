import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { describeWith, startFaultyProxy, startStandIn } from '@ts-oci/testing'
import {
  startAzureStandIn,
  startAzurite,
  startMoto,
  startS3StandIn,
  type ObjectServer,
} from '../cache/backends/object-servers.test.helper.ts'
import type { CacheOption } from '../build/public-types.ts'
import { FILES, makeCacheTrials, type CacheTrials } from './travelling-caches.test.helper.ts'

const STEPS = ['COPY one /1', 'COPY --from=a /1 /2', 'COPY two /3']

let trials: CacheTrials
beforeAll(async () => {
  trials = await makeCacheTrials()
})
afterAll(async () => {
  await trials?.[Symbol.asyncDispose]()
})

describeWith(['moto_server'], 'a cache in the S3 of moto', () => {
  behaves(startMoto)
  test('a layer that is old looks new after an export that found it, and is the same', async () => {
    await using server = await startMoto()
    const context = await trials.context()
    await trials.writeTo(context, server.option)
    const before = await server.objects()
    const key = [...before.keys()].find((one) => one.includes('sha256:'))!
    await trials.writeTo(context, { ...server.option, touch_refresh: '1h' })
    expect((await server.headers(key)).get('x-amz-meta-updated-at')).toBeNull()
    await trials.writeTo(context, { ...server.option, touch_refresh: '0s' })
    expect((await server.headers(key)).get('x-amz-meta-updated-at')).toMatch(/^\d{4}-/)
    expect((await server.objects()).get(key)).toEqual(before.get(key))
  }, 40_000)
})
describeWith([], 'a cache in a stand-in for S3', () => behaves(startS3StandIn))
describeWith(['azurite-blob'], 'a cache in Azurite', () => behaves(startAzurite))
describeWith([], 'a cache in a stand-in for Azure, by a shared access signature', () => behaves(startAzureStandIn))

function behaves(start: () => Promise<ObjectServer>): void {
  let server: ObjectServer
  let count = 0
  beforeAll(async () => {
    server = await start()
  }, 40_000)
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })
  beforeEach(() => void count++)
  // A cache of each test's own: real servers take seconds to start.
  const cache = (more: Record<string, string | boolean> = {}): CacheOption => ({
    ...server.option,
    prefix: `${count}/`,
    ...more,
  })
  const objects = async (): Promise<ReadonlyMap<string, Buffer>> => {
    const all = [...(await server.objects())].filter(([key]) => key.startsWith(`${count}/`))
    return new Map(all)
  }

  test('what one build wrote the next one has, layers and all', async () => {
    const context = await trials.context()
    await trials.writeTo(context, cache({ mode: 'max' }))
    const { ran, warnings, result } = await trials.readFrom(context, cache())
    expect(warnings).toEqual([])
    expect(ran).toEqual([])
    expect(result.layers).toHaveLength(2)
  })

  test('its objects lie where BuildKit looks for them, each layer under its digest', async () => {
    const places = { name: 'main;next', manifests_prefix: 'm/', blobs_prefix: 'b/' }
    await trials.writeTo(await trials.context(), cache({ mode: 'max', ...places }))
    const found = await objects()
    const config = found.get(`${count}/m/main`)!
    expect(found.get(`${count}/m/next`)).toEqual(config)
    const { layers } = JSON.parse(config.toString('utf8')) as { layers: { blob: string; annotations: object }[] }
    expect(layers.length).toBeGreaterThan(1)
    for (const { blob, annotations } of layers) {
      const bytes = found.get(`${count}/b/${blob}`)!
      expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(blob)
      expect(annotations).toMatchObject({ size: bytes.length, diffID: expect.stringMatching(/^sha256:/) })
    }
    expect(found.size).toBe(new Set(layers.map(({ blob }) => blob)).size + 2)
  })

  test('a layer of several parts comes and goes whole', async () => {
    // What gzip makes no smaller, and no part holds.
    const big = randomBytes(9 << 20)
    const context = await trials.context({ Dockerfile: 'FROM scratch\nCOPY big /big\n', big })
    const { statuses } = await trials.writeTo(context, cache())
    const sizes = [...(await objects())].flatMap(([key, { length }]) => (key.includes('sha256:') ? [length] : []))
    expect(sizes).toEqual([expect.any(Number)])
    expect(sizes[0]).toBeGreaterThan(8 << 20)
    expect(statuses.filter((line) => line.startsWith('writing layer'))).toHaveLength(1)
    const { ran, result } = await trials.readFrom(context, cache())
    expect(ran).toEqual([])
    expect(result.layers).toHaveLength(1)
  }, 60_000)

  test('a second export sends what changed, and the name has the new cache', async () => {
    await trials.writeTo(await trials.context(), cache({ mode: 'max' }))
    const changed = await trials.context({ ...FILES, two: 'another' })
    const { statuses } = await trials.writeTo(changed, cache({ mode: 'max' }))
    expect(statuses.filter((line) => line.startsWith('writing layer'))).toHaveLength(1)
    expect((await trials.readFrom(changed, cache())).ran).toEqual([])
  })

  test('a layer that is gone is made again, and comes back with the next export', async () => {
    const context = await trials.context()
    await trials.writeTo(context, cache({ mode: 'max' }))
    for (const key of (await objects()).keys()) if (key.includes('sha256:')) await server.remove(key)
    const { result, warnings } = await trials.readFrom(context, cache())
    expect(result.layers).toHaveLength(2)
    expect(warnings.join('\n')).toContain('could not be had, its step is run')
    await trials.writeTo(context, cache({ mode: 'max' }))
    expect((await trials.readFrom(context, cache())).ran).toEqual([])
  })

  test('where nothing was written yet there is no cache, and nobody is warned', async () => {
    const { ran, warnings } = await trials.readFrom(await trials.context(), cache())
    expect(ran).toEqual(STEPS)
    expect(warnings).toEqual([])
  })

  test('what never came is made again by a build that names no cache', async () => {
    const context = await trials.context()
    await trials.writeTo(context, cache({ mode: 'max' }))
    const store = trials.join(`store-${server.option.type}-${start.name}`)
    await trials.buildFresh(context, { store, cacheFrom: [cache()], outputs: [{ type: 'cacheonly' }] })
    const dest = `${store}.tar`
    const { ran, result } = await trials.buildFresh(context, { store, outputs: [{ type: 'oci', dest }] })
    expect(ran).toEqual(STEPS)
    expect(result.layers).toHaveLength(2)
  })

  test('two exporters at once both end, and the cache is one of theirs', async () => {
    const contexts = [await trials.context(), await trials.context({ ...FILES, two: 'another' })]
    await Promise.all(contexts.map((context) => trials.writeTo(context, cache({ mode: 'max' }))))
    const rebuilt = await Promise.all(contexts.map((context) => trials.readFrom(context, cache())))
    expect(new Set(rebuilt.map(({ ran }) => ran.length))).toEqual(new Set([0, 1]))
  })

  // moto lets everybody in.
  if (start === startMoto) return
  test('who is not let in is a clear error, or a warning with ignore-error; the secret is in neither', async () => {
    const context = await trials.context()
    const wrong =
      server.option.type === 's3'
        ? { secret_access_key: 'wrong-secret' }
        : {
            account_url: String(server.option['account_url']).replace('sig=secret%3D', 'sig=wrong-secret'),
            ...(server.option['secret_access_key'] ? { secret_access_key: 'd3Jvbmctc2VjcmV0' } : {}),
          }
    const failure = await trials.writeTo(context, cache(wrong)).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'OCI_CACHE_FAILED',
      message: expect.stringMatching(/SignatureDoesNotMatch|AuthenticationFailed|AuthorizationFailure|status 403/),
    })
    expect(JSON.stringify(failure) + String(failure)).not.toMatch(/wrong-secret|d3Jvbmc/)
    const { ran, warnings } = await trials.writeTo(context, cache({ ...wrong, 'ignore-error': 'true' }))
    expect(ran).toEqual(STEPS)
    expect(warnings).toHaveLength(1)
  })
}

test('a bucket that asks for a pause gets it, and one that fails once is asked again', async () => {
  await using server = await startS3StandIn()
  const { host } = new URL(String(server.option['endpoint_url']))
  const statuses = [503, 500]
  // Signed for the proxy's name: the stand-in sees that one as the host.
  await using proxy = await startFaultyProxy(host, () => {
    const status = statuses.pop()
    return status === undefined ? {} : { status, headers: { 'retry-after': '1' } }
  })
  const cache = { ...server.option, endpoint_url: `http://${proxy.host}` }
  const context = await trials.context()
  await trials.writeTo(context, { ...cache, mode: 'max' })
  expect(statuses).toEqual([])
  expect((await trials.readFrom(context, cache)).ran).toEqual([])
})

test('an export whose server fails in the middle leaves the cache as it was', async () => {
  await using server = await startS3StandIn()
  const context = await trials.context()
  await trials.writeTo(context, { ...server.option, mode: 'max' })
  const before = new Map(await server.objects())
  const { host } = new URL(String(server.option['endpoint_url']))
  await using proxy = await startFaultyProxy(host, ({ method, path }) =>
    method === 'PUT' && path.includes('sha256') ? { status: 400 } : {},
  )
  const changed = await trials.context({ ...FILES, two: 'another' })
  const failing = { ...server.option, endpoint_url: `http://${proxy.host}`, mode: 'max' }
  await expect(trials.writeTo(changed, failing)).rejects.toMatchObject({ code: 'OCI_CACHE_FAILED' })
  expect(await server.objects()).toEqual(before)
  expect((await trials.readFrom(context, server.option)).ran).toEqual([])
})

test('a layer whose line breaks is fetched from there on', async () => {
  await using server = await startS3StandIn()
  const { host } = new URL(String(server.option['endpoint_url']))
  const big = randomBytes(1 << 20)
  const context = await trials.context({ Dockerfile: 'FROM scratch\nCOPY big /big\n', big })
  await trials.writeTo(context, server.option)
  const ranges: (string | undefined)[] = []
  await using proxy = await startFaultyProxy(host, (request) => {
    if (!request.path.includes('sha256')) return {}
    ranges.push(request.headers.range)
    return ranges.length === 1 ? { cutResponseAfter: 100_000 } : {}
  })
  const { warnings } = await trials.readFrom(context, { ...server.option, endpoint_url: `http://${proxy.host}` })
  expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)])
  expect(warnings).toEqual([])
})

test.each([
  [{ type: 's3', region: 'x' }, 'bucket is missing'],
  [{ type: 's3', bucket: 'b' }, 'region is missing'],
  [{ type: 's3', bucket: 'b', region: 'r', prefix: '../x' }, 'no part of a key may be'],
  [{ type: 's3', bucket: 'b', region: 'r', upload_parallelism: '0' }, 'a whole number'],
  [{ type: 's3', bucket: 'b', region: 'r', touch_refresh: 'soon' }, 'a duration'],
  [{ type: 's3', bucket: 'b', region: 'r', access_key_id: 'x' }, 'belong together'],
  [{ type: 'azblob' }, 'account_url is missing'],
  [{ type: 'azblob', account_url: 'https://me.blob.core.windows.net' }, 'secret_access_key is missing'],
  [{ type: 'gha', scop: 'x' }, 'unknown attribute "scop"'],
] as const)('%j is refused before anything is built: %s', async (option, message) => {
  await expect(trials.writeTo('/nowhere', option)).rejects.toMatchObject({
    code: expect.stringMatching(/^OCI_OPTION_/),
    message: expect.stringContaining(message),
  })
})

test('a bucket in another region is told by its name', async () => {
  await using server = await startStandIn((request, response) => {
    request.resume()
    response.writeHead(301, { 'x-amz-bucket-region': 'eu-west-1' }).end()
  })
  const option = {
    type: 's3',
    bucket: 'b',
    region: 'us-east-1',
    endpoint_url: `http://${server.host}`,
    use_path_style: true,
  } as const
  await expect(trials.writeTo(await trials.context(), option)).rejects.toMatchObject({
    message: expect.stringContaining('status 301'),
    hint: 'the bucket is in the region eu-west-1: region=eu-west-1',
  })
})
