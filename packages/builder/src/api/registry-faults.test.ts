import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith, startFaultyProxy, type Fault, type SeenRequest, type StandIn } from '@ts-oci/testing'
import type { PullOptions } from '../build/public-types.ts'
import { createRegistryClient } from '../registry/index.ts'
import { makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { images } from './images.ts'
import { pull } from './pull.ts'
import { push } from './transfer.ts'

/** Requests of a pull and of a push, by what they are about. */
const places = {
  'the manifest of a pull': ({ method, path }: SeenRequest) => method !== 'PUT' && path.includes('/manifests/'),
  'a blob of a pull': ({ method, path }: SeenRequest) => method === 'GET' && path.includes('/blobs/sha256:'),
  'the start of an upload': ({ method }: SeenRequest) => method === 'POST',
  'the bytes of an upload': ({ method, path }: SeenRequest) =>
    /^P(?:UT|ATCH)$/.test(method) && path.includes('/uploads/'),
  'the manifest of a push': ({ method, path }: SeenRequest) => method === 'PUT' && path.includes('/manifests/'),
} as const
type Place = keyof typeof places

const codes = {
  401: 'OCI_REGISTRY_UNAUTHORIZED',
  403: 'OCI_REGISTRY_DENIED',
  404: 'OCI_REGISTRY_NOT_FOUND',
  416: 'OCI_REGISTRY_PROTOCOL',
  429: 'OCI_REGISTRY_DENIED',
  500: 'OCI_REGISTRY_PROTOCOL',
} as const

const lasting = (Object.keys(places) as Place[]).flatMap((place) =>
  Object.entries(codes).map(([status, code]) => [place, Number(status), code] as const),
)
const passing: readonly (readonly [Place, string, Fault])[] = (Object.keys(places) as Place[]).flatMap((place) => [
  [place, '429 with Retry-After', { status: 429, headers: { 'retry-after': '0' } }] as const,
  [
    place,
    '503 with a date to come back',
    { status: 503, headers: { 'retry-after': new Date(0).toUTCString() } },
  ] as const,
  [place, 'a cut connection', place.endsWith('pull') ? { cutResponseAfter: 10 } : { cutRequestAfter: 0 }] as const,
])

describeWith(['docker-registry', 'skopeo', 'busybox', 'tar'], 'a registry that fails', () => {
  let world: BuildWorld
  let line: StandIn
  let fault: { readonly place: Place; readonly what: Fault; left: number } | undefined
  let count = 0

  beforeAll(async () => {
    world = await makeBuildWorld()
    line = await startFaultyProxy(world.registry.host, (request) => {
      if (fault === undefined || fault.left === 0 || !places[fault.place](request)) return undefined
      fault.left--
      return fault.what
    })
  })
  afterAll(async () => {
    await line?.stop()
    await world?.[Symbol.asyncDispose]()
  })

  /** Pulls into a store of its own, or pushes to a repository of its own: a second time does the same. */
  async function transferOf(
    place: Place,
  ): Promise<{ readonly store: string; readonly run: (options: PullOptions) => Promise<unknown> }> {
    const name = `fault-${count++}`
    if (place.endsWith('pull')) {
      const store = world.directory.join(name)
      return { store, run: (options) => pull(`${line.host}/busybox:1`, { ...options, store }) }
    }
    const { store } = world
    // What no registry has yet: else it is mounted.
    const context = await world.context(name, { Dockerfile: 'FROM scratch\nCOPY file /\n', file: name })
    await world.build(context, { tags: [`${name}:1`] })
    return {
      store,
      run: async (options) => {
        const { digest } = await push(`${name}:1`, { ...options, store, destination: `${line.host}/${name}:1` })
        await using client = createRegistryClient({ retries: 0 })
        const manifest = await client.fetchManifest(client.repository(`${line.host}/${name}`), '1')
        expect(manifest.digest).toBe(digest)
      },
    }
  }

  /** Nothing half-done, and no name of what did not come. */
  async function expectIntact(store: string): Promise<void> {
    expect(existsSync(join(store, 'tmp')) ? readdirSync(join(store, 'tmp')) : []).toEqual([])
    if (store !== world.store) expect(await images({ store })).toEqual([])
  }

  test.each(lasting)(
    'to the end at %s, with %i, is one clear error, and the next run is right',
    async (place, status, code) => {
      const { store, run } = await transferOf(place)
      fault = { place, what: { status }, left: Infinity }
      await expect(run({ retries: 0 })).rejects.toMatchObject({
        code,
        message: expect.stringContaining(line.host),
        hint: expect.any(String),
      })
      await expectIntact(store)
      fault = undefined
      await run({ retries: 0 })
    },
  )

  test.each(passing)('once at %s, by %s, is tried again', async (place, _, what) => {
    const { run } = await transferOf(place)
    fault = { place, what, left: 1 }
    await run({ retries: 2 })
    expect(fault.left).toBe(0)
    fault = undefined
  })

  test('two pushes of one tag at once leave one of the two images, whole', async () => {
    fault = undefined
    const made = await Promise.all(
      ['one', 'two'].map(async (text) => {
        const context = await world.context(text, { Dockerfile: 'FROM scratch\nCOPY file /\n', file: text })
        return await world.build(context, { tags: [`${text}:1`] })
      }),
    )
    expect(made).toHaveLength(2)
    const destination = `${line.host}/same:1`
    const pushed = await Promise.all(['one:1', 'two:1'].map((name) => push(name, { store: world.store, destination })))
    const store = world.directory.join('after-two')
    const { digest } = await pull(destination, { store })
    expect(pushed.map((one) => one.digest)).toContain(digest)
  })
})
