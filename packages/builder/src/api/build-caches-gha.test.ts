import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startGhaServer, tokenFor, type GhaServer } from '../cache/backends/gha/gha-server.test.helper.ts'
import type { CacheOption } from '../build/public-types.ts'
import { FILES, makeCacheTrials, type CacheTrials } from './travelling-caches.test.helper.ts'

const MAIN = { 'refs/heads/main': 3 }
const PULL = { 'refs/pull/7/merge': 3, 'refs/heads/main': 1 }
const STEPS = ['COPY one /1', 'COPY --from=a /1 /2', 'COPY two /3']

const indexOf = (branch: string, scope = 'buildkit'): string =>
  `index-${scope}-1-${createHash('sha256').update(branch).digest('hex').slice(0, 8)}`

let trials: CacheTrials
let server: GhaServer
beforeAll(async () => {
  trials = await makeCacheTrials()
})
afterAll(async () => {
  await trials?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  server = await startGhaServer()
})
afterEach(async () => {
  await server.stop()
})

const cacheOf = (
  scopes: Readonly<Record<string, number>>,
  more: Record<string, string | boolean> = {},
): CacheOption => ({
  type: 'gha',
  url_v2: server.url,
  token: tokenFor(scopes),
  ...more,
})

describe.each([
  { version: '2', address: 'url_v2' },
  { version: '1', address: 'url' },
])('the cache of GitHub Actions, version $version', ({ version, address }) => {
  const cache = (
    scopes: Readonly<Record<string, number>>,
    more: Record<string, string | boolean> = {},
  ): CacheOption => ({
    type: 'gha',
    version,
    [address]: server.url,
    token: tokenFor(scopes),
    ...more,
  })

  test('what one job wrote the next one has, layers and all', async () => {
    const context = await trials.context()
    await trials.writeTo(context, { ...cache(MAIN), mode: 'max' })
    const { ran, warnings, result } = await trials.readFrom(context, cache(MAIN))
    expect(ran).toEqual([])
    expect(warnings).toEqual([])
    expect(result.layers).toHaveLength(2)
  })

  test('there is an entry for each layer, named by its digest, and one for the branch, with what BuildKit reads', async () => {
    await trials.writeTo(await trials.context(), { ...cache(MAIN), mode: 'max' })
    const index = server.entries.find(({ key }) => key === `${indexOf('refs/heads/main')}#1`)
    const config = JSON.parse(index!.bytes.toString('utf8')) as { layers: { blob: string; annotations: object }[] }
    expect(config.layers.length).toBeGreaterThan(1)
    for (const { blob, annotations } of config.layers) {
      const entry = server.entries.find(({ key }) => key === `buildkit-blob-1-${blob}`)
      expect(`sha256:${createHash('sha256').update(entry!.bytes).digest('hex')}`).toBe(blob)
      expect(annotations).toEqual({
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        diffID: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
        size: entry!.bytes.length,
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      })
    }
    // The version that keeps BuildKit's entries apart, as its library computes it.
    const own = createHash('sha256').update('|go-actionscache-1.0').digest('hex')
    expect(new Set(server.entries.map((entry) => entry.version))).toEqual(new Set([own]))
  })

  test('a second export sends no layer again, and the newest index is the one that counts', async () => {
    const context = await trials.context()
    await trials.writeTo(context, { ...cache(MAIN), mode: 'max' })
    const before = server.entries.length
    const changed = await trials.context({ ...FILES, two: 'another' })
    await trials.writeTo(changed, { ...cache(MAIN), mode: 'max' })
    // One layer changed.
    expect(server.entries.slice(before).map(({ key }) => key.replace(/sha256:.*/, ''))).toEqual([
      'buildkit-blob-1-',
      `${indexOf('refs/heads/main')}#2`,
    ])
    expect((await trials.readFrom(changed, cache(MAIN))).ran).toEqual([])
  })

  test('a layer that GitHub has removed is made again', async () => {
    const context = await trials.context()
    await trials.writeTo(context, { ...cache(MAIN), mode: 'max' })
    const left = server.entries.filter(({ key }) => key.startsWith('index-'))
    server.entries.splice(0, server.entries.length, ...left)
    const { result, warnings } = await trials.readFrom(context, cache(MAIN))
    expect(result.layers).toHaveLength(2)
    expect(warnings.join('\n')).toContain(
      'could not be had, its step is run: the GitHub Actions cache has removed the entry',
    )
  })

  test('a token that may only read is an error, or a warning with ignore-error', async () => {
    const context = await trials.context()
    const readOnly = cache({ 'refs/heads/main': 1 })
    await expect(trials.writeTo(context, readOnly)).rejects.toMatchObject({
      code: 'OCI_CACHE_FAILED',
      message: expect.stringContaining('may read the GitHub Actions cache, and not write it'),
    })
    const { ran, warnings } = await trials.writeTo(context, { ...readOnly, 'ignore-error': 'true' })
    expect(ran).toEqual(STEPS)
    expect(warnings).toEqual([expect.stringContaining('may read the GitHub Actions cache, and not write it')])
    expect(server.entries).toEqual([])
  })

  test('a pause that the service asks for is made', async () => {
    let refused = 0
    let askedMs = 0
    server.intercept = (request, response) => {
      if (refused++ === 0) askedMs = Date.now()
      if (refused > 1) return false
      response.writeHead(429, { 'retry-after': '2' }).end()
      request.resume()
      return true
    }
    await trials.writeTo(await trials.context(), { ...cache(MAIN), mode: 'max' })
    expect(refused).toBeGreaterThan(1)
    expect(Date.now() - askedMs).toBeGreaterThanOrEqual(2000)
    expect(server.entries.some(({ key }) => key.startsWith('index-'))).toBe(true)
  })

  test('two exporters at once both end, and what the last one wrote is whole', async () => {
    const contexts = [await trials.context(), await trials.context({ ...FILES, two: 'another' })]
    await Promise.all(contexts.map((context) => trials.writeTo(context, { ...cache(MAIN), mode: 'max' })))
    const numbers = server.entries.filter(({ key }) => key.startsWith('index-')).map(({ key }) => key.split('#')[1])
    expect(new Set(numbers)).toEqual(new Set(['1', '2']))
    const rebuilt = await Promise.all(contexts.map((context) => trials.readFrom(context, cache(MAIN))))
    // The last index has one of the two builds.
    expect(new Set(rebuilt.map(({ ran }) => ran.length))).toEqual(new Set([0, 1]))
  })
})

describe('the cache of GitHub Actions', () => {
  test('of several scopes each is a cache of its own', async () => {
    const context = await trials.context()
    await trials.writeTo(context, cacheOf(MAIN, { scope: 'web' }))
    expect((await trials.readFrom(context, cacheOf(MAIN))).ran).toEqual(STEPS)
    expect((await trials.readFrom(context, cacheOf(MAIN, { scope: 'web' }))).ran).not.toContain('COPY two /3')
  })

  test("a pull request reads the main branch's cache, writes into its own, and reads that for what main has not", async () => {
    await trials.writeTo(await trials.context(), cacheOf(MAIN, { mode: 'max' }))
    const changed = await trials.context({ ...FILES, two: 'another' })
    expect((await trials.readFrom(changed, cacheOf(PULL))).ran).toEqual(['COPY two /3'])
    await trials.writeTo(changed, cacheOf(PULL, { mode: 'max' }))
    expect(server.entries.at(-1)).toMatchObject({
      scope: 'refs/pull/7/merge',
      key: `${indexOf('refs/pull/7/merge')}#1`,
    })
    expect((await trials.readFrom(changed, cacheOf(PULL))).ran).toEqual([])
    // Nobody else reads what a pull request wrote.
    expect((await trials.readFrom(changed, cacheOf(MAIN))).ran).toEqual(['COPY two /3'])
  })

  test("what a pull request wrote never wins over the main branch's, though it is newer", async () => {
    const context = await trials.context()
    await trials.writeTo(context, cacheOf(MAIN, { mode: 'max' }))
    // Its author gives the key of a step a result of his own: the layer of another step.
    const index = server.entries.find(({ key }) => key.startsWith('index-'))!
    const config = JSON.parse(index.bytes.toString('utf8')) as {
      layers: object[]
      records: { layers?: { layer: number; createdAt: string }[] }[]
    }
    for (const { layers = [] } of config.records)
      for (const result of layers) Object.assign(result, { layer: 0, createdAt: '2999-01-01T00:00:00Z' })
    const bytes = Buffer.from(JSON.stringify(config))
    server.entries.push({ ...index, key: `${indexOf('refs/pull/7/merge')}#1`, scope: 'refs/pull/7/merge', bytes })
    const honest = await trials.readFrom(context, cacheOf(MAIN))
    const pulled = await trials.readFrom(context, cacheOf(PULL))
    expect(pulled.ran).toEqual([])
    expect(pulled.result.layers).toEqual(honest.result.layers)
  })

  test("an index under the main branch's name that the service says a pull request wrote is not read", async () => {
    const context = await trials.context()
    await trials.writeTo(context, cacheOf(MAIN, { mode: 'max' }))
    const index = server.entries.find(({ key }) => key.startsWith('index-'))!
    server.entries.push({ ...index, key: index.key.replace('#1', '#9'), scope: 'refs/pull/7/merge' })
    const old: CacheOption = { type: 'gha', url: server.url, version: '1', token: tokenFor(PULL) }
    expect((await trials.readFrom(context, old)).ran).toEqual(STEPS)
  })

  test('an export that ends in the middle leaves the cache as it was', async () => {
    const context = await trials.context()
    await trials.writeTo(context, cacheOf(MAIN, { mode: 'max' }))
    const changed = await trials.context({ ...FILES, two: 'another' })
    const stop = new AbortController()
    server.intercept = (request) => {
      // Just when the first new layer is to be sent.
      if (request.url?.startsWith('/upload/')) stop.abort()
      return false
    }
    const cacheTo = [cacheOf(MAIN, { mode: 'max' })]
    await expect(
      trials.buildFresh(changed, { outputs: [{ type: 'cacheonly' }], cacheTo, signal: stop.signal }),
    ).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    server.intercept = () => false
    expect((await trials.readFrom(context, cacheOf(MAIN))).ran).toEqual([])
  })

  test('with ghtoken and repository the layers that are there are listed, not asked for one by one', async () => {
    const context = await trials.context()
    await trials.writeTo(context, cacheOf(MAIN, { mode: 'max' }))
    const before = server.seen.length
    process.env['GITHUB_API_URL'] = server.url
    try {
      await trials.writeTo(context, cacheOf(MAIN, { mode: 'max', ghtoken: 'ghtoken', repository: 'me/app' }))
    } finally {
      delete process.env['GITHUB_API_URL']
    }
    const asked = server.seen.slice(before).map(({ path }) => path.replace(/\?.*/, '').replace(/.*\//, ''))
    // The list; the index that is there; the new one, its bytes, its end.
    const number: unknown = expect.stringMatching(/^\d+$/)
    const last = ['CreateCacheEntry', number, 'FinalizeCacheEntryUpload']
    expect(asked).toEqual(['caches', 'GetCacheEntryDownloadURL', ...last])
  })

  test('outside of a job of GitHub it is a warning and a build', async () => {
    const context = await trials.context()
    const { ran, warnings } = await trials.buildFresh(context, {
      outputs: [{ type: 'cacheonly' }],
      cacheFrom: [{ type: 'gha' }],
      cacheTo: [{ type: 'gha' }],
    })
    expect(ran).toEqual(STEPS)
    expect(warnings).toHaveLength(2)
    for (const warning of warnings) expect(warning).toContain('this is no job of GitHub Actions')
  })

  test.each([
    ['an index that is no JSON', (index: Buffer) => index.subarray(0, 100)],
    ['an index of 17 MB', (index: Buffer) => Buffer.concat([index, Buffer.alloc(17 << 20, ' ')])],
  ])('%s is a warning and a build', async (_, spoil) => {
    const context = await trials.context()
    await trials.writeTo(context, cacheOf(MAIN, { mode: 'max' }))
    const index = server.entries.findIndex(({ key }) => key.startsWith('index-'))
    server.entries[index] = { ...server.entries[index]!, bytes: spoil(server.entries[index]!.bytes) }
    const { ran, warnings } = await trials.readFrom(context, cacheOf(MAIN))
    expect(ran).toEqual(STEPS)
    expect(warnings).toHaveLength(1)
  })

  test('an expired token is a warning that says so, and no secret', async () => {
    const context = await trials.context()
    const token = tokenFor(MAIN, -10)
    const { warnings } = await trials.readFrom(context, { type: 'gha', url_v2: server.url, token })
    expect(warnings).toEqual([expect.stringContaining('has expired')])
    expect(warnings.join('')).not.toContain(token)
  })
})
