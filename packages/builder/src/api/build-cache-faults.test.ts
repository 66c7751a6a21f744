import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describeWith, startFaultyProxy } from '@ts-oci/testing'
import type { ProgressEvent } from '../base/progress.ts'
import { prepareImports } from '../cache/backends/prepare.ts'
import { createCacheImports } from '../build/cache-exchange.ts'
import type { BuildOptions, BuildResult, CacheOption } from '../build/public-types.ts'
import { digestHex, digestOf, type Digest } from '../oci/digest.ts'
import { openSession } from './session.ts'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'

const FILES = {
  Dockerfile: 'FROM scratch AS a\nCOPY one /1\nFROM scratch\nCOPY --from=a /1 /2\nCOPY two /3\n',
  one: 'one',
  two: 'two',
}
/** Steps of it. */
const ALL = 3

interface Manifest {
  config: { digest: Digest; size: number }
  readonly layers: { digest: Digest; annotations: Record<string, string> }[]
}

interface Config {
  layers: unknown[]
  readonly records: { digest: string; inputs?: unknown[][] }[]
}

describeWith(buildNeeds, 'what may be wrong with a cache from elsewhere', () => {
  let world: BuildWorld
  let context: string
  let whole: string
  let count = 0
  beforeAll(async () => {
    world = await makeBuildWorld()
    context = await world.context('app', FILES)
    whole = world.directory.join('whole')
    await buildFresh({ cacheTo: [{ type: 'local', dest: whole, mode: 'max' }] })
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  interface Built {
    readonly result: BuildResult
    readonly ran: number
    readonly warnings: string
  }

  /** Builds all, with a store of its own, to a layout that is read again by whoever checks it. */
  async function buildFresh(options: BuildOptions): Promise<Built> {
    const warnings: string[] = []
    const onProgress = (event: ProgressEvent): void => {
      if (event.type === 'warning') warnings.push(event.warning.message)
    }
    const store = world.directory.join(`store-${count++}`)
    const outputs = [{ type: 'oci', dest: world.directory.join(`image-${count}`), tar: 'false' }] as const
    const result = await world.build(context, { store, outputs, onProgress, retries: 0, ...options })
    return { result, ran: verticesOf(result, 'ran').length, warnings: warnings.join('\n') }
  }
  const from = (src: string): CacheOption => ({ type: 'local', src })
  const blob = (directory: string, digest: Digest): string => join(directory, 'blobs/sha256', digestHex(digest))

  /** A copy of the cache with other documents; their digests fit. */
  function altered(
    change: (documents: { readonly manifest: Manifest; readonly config: Config }) => string | void,
  ): string {
    const directory = world.directory.join(`altered-${count++}`)
    cpSync(whole, directory, { recursive: true })
    const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
      manifests: { digest: Digest; size: number }[]
    }
    const [top] = index.manifests
    const manifest = JSON.parse(readFileSync(blob(directory, top!.digest), 'utf8')) as Manifest
    const config = JSON.parse(readFileSync(blob(directory, manifest.config.digest), 'utf8')) as Config
    const put = (text: string): { digest: Digest; size: number } => {
      const digest = digestOf(text)
      writeFileSync(blob(directory, digest), text)
      return { digest, size: Buffer.byteLength(text) }
    }
    const text = change({ manifest, config }) ?? JSON.stringify(config)
    Object.assign(manifest.config, put(text))
    Object.assign(top!, put(JSON.stringify(manifest)))
    writeFileSync(join(directory, 'index.json'), JSON.stringify(index))
    return directory
  }

  test('the cache that the others are made of is whole', async () => {
    const { ran, warnings } = await buildFresh({ cacheFrom: [from(altered(() => undefined))] })
    expect([ran, warnings]).toEqual([0, ''])
  })

  test('records may come in any order', async () => {
    const directory = altered(({ config }) => {
      const order = config.records.map((_, index) => index).reverse()
      const records = order.map((index) => config.records[index]!)
      for (const { inputs = [] } of records)
        for (const link of inputs.flat() as { link?: number }[]) link.link = order.indexOf(link.link ?? 0)
      return JSON.stringify({ ...config, records })
    })
    expect(await buildFresh({ cacheFrom: [from(directory)] })).toMatchObject({ ran: 0, warnings: '' })
  })

  test.each<[string, Parameters<typeof altered>[0], string]>([
    [
      'a loop of records',
      ({ config }) => {
        for (const [link, record] of config.records.entries()) record.inputs = [[{ link }]]
      },
      'need themselves',
    ],
    ['an input without a key', ({ config }) => void (config.records[0]!.inputs = [[]]), 'without a key'],
    ['a link to nothing', ({ config }) => void (config.records[0]!.inputs = [[{ link: 999 }]]), 'record 999'],
    ['layers that are none', ({ config }) => void (config.layers = [{ blob: 'x' }]), 'digest'],
    ['no JSON', () => '{', 'JSON'],
    ['a size of 2 MiB + 1', () => `{"layers":[],"records":[]}${' '.repeat((2 << 20) + 1)}`, 'larger than'],
  ])('a config with %s is a warning and a build', async (_what, change, message) => {
    const { ran, warnings } = await buildFresh({ cacheFrom: [from(altered(change))] })
    expect(ran).toBe(ALL)
    expect(warnings).toContain('no cache manifest from')
    expect(warnings).toContain(message)
  })

  test.each([
    ['manifest', 2 ** 30],
    ['config', 2 ** 30],
    ['index.json', 2 ** 30],
  ])('a %s of 1 GB on the disk is not read', async (which, sizeBytes) => {
    const directory = altered(() => undefined)
    const index = join(directory, 'index.json')
    const { manifests } = JSON.parse(readFileSync(index, 'utf8')) as { manifests: { digest: Digest }[] }
    const manifest = blob(directory, manifests[0]!.digest)
    const { config } = JSON.parse(readFileSync(manifest, 'utf8')) as Manifest
    truncateSync({ manifest, config: blob(directory, config.digest), 'index.json': index }[which]!, sizeBytes)
    const before = process.memoryUsage().rss
    const { ran, warnings } = await buildFresh({ cacheFrom: [from(directory)] })
    expect(process.memoryUsage().rss - before).toBeLessThan(500 << 20)
    expect(ran).toBe(ALL)
    expect(warnings).toContain('no cache manifest from')
  })

  test('a config larger than BuildKit reads, which BuildKit would not find, is read here', async () => {
    const directory = altered(({ config }) => JSON.stringify(config) + ' '.repeat(1 << 20))
    expect(await buildFresh({ cacheFrom: [from(directory)] })).toMatchObject({ ran: 0, warnings: '' })
  })

  test.each(['manifest', 'config'])(
    'a %s with other bytes than its digest says is a warning and a build',
    async (which) => {
      const directory = altered(() => undefined)
      const { manifests } = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
        manifests: { digest: Digest }[]
      }
      const path = blob(directory, manifests[0]!.digest)
      const { config } = JSON.parse(readFileSync(path, 'utf8')) as Manifest
      const target = which === 'manifest' ? path : blob(directory, config.digest)
      // A key that no step has, of the same length: all else about it is right.
      writeFileSync(
        target,
        readFileSync(target, 'utf8')
          .replace(/"createdat":"2/i, '"createdAt":"1')
          .replace(/:2\b/, ':3'),
      )
      const { ran, warnings } = await buildFresh({ cacheFrom: [from(directory)] })
      expect(ran).toBe(ALL)
      expect(warnings).toMatch(/is another one/)
    },
  )

  test('a layer with other bytes is made again', async () => {
    const directory = altered(() => undefined)
    for (const name of readdirSync(join(directory, 'blobs/sha256'))) {
      const path = join(directory, 'blobs/sha256', name)
      const bytes = readFileSync(path)
      if (bytes[0] === 0x1f) writeFileSync(path, bytes.fill(0, bytes.length - 9))
    }
    const { result, warnings } = await buildFresh({ cacheFrom: [from(directory)] })
    const right = await buildFresh({})
    expect(result.layers.map(({ diffId }) => diffId)).toHaveLength(right.result.layers.length)
    expect(warnings).toMatch(/could not be had, its step is run/)
  })

  test('a layer whose diffID is another than the cache says is made again', async () => {
    const lie = digestOf('another layer')
    const directory = altered(({ manifest }) => {
      for (const { annotations } of manifest.layers) annotations['containerd.io/uncompressed'] = lie
    })
    const { result, warnings } = await buildFresh({ cacheFrom: [from(directory)] })
    expect(result.layers.map(({ diffId }) => diffId)).not.toContain(lie)
    expect(warnings).toMatch(/could not be had, its step is run/)
  })

  test('a registry that says 429, or lets nobody in, is a warning and a build', async () => {
    for (const status of [429, 401, 403]) {
      await using proxy = await startFaultyProxy(world.registry.host, () => ({
        status,
        headers: { 'retry-after': '0' },
      }))
      const { ran, warnings } = await buildFresh({ cacheFrom: [{ type: 'registry', ref: `${proxy.host}/x:y` }] })
      expect(ran).toBe(ALL)
      expect(warnings).toContain('no cache manifest from')
    }
  })

  test('where one may read and not write, the export fails, or is a warning with ignore-error', async () => {
    await using proxy = await startFaultyProxy(world.registry.host, ({ method }) =>
      method === 'GET' || method === 'HEAD' ? undefined : { status: 403 },
    )
    const to = { type: 'registry', ref: `${proxy.host}/x:y` } as const
    await expect(buildFresh({ cacheTo: [to] })).rejects.toMatchObject({ code: expect.stringMatching(/^OCI_REGISTRY_/) })
    const { warnings } = await buildFresh({ cacheTo: [{ ...to, 'ignore-error': 'true' }] })
    expect(warnings).toContain('exporting cache to registry')
  })

  test('a registry that takes a connection and says nothing is left after a while, with a warning', async () => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    try {
      await using session = await openSession({ store: world.directory.join('stalled'), retries: 0 })
      const imports = await prepareImports([{ type: 'registry', attrs: { ref: `127.0.0.1:${port}/x:y` } }])
      const warnings: string[] = []
      const sink = (event: ProgressEvent): void =>
        void (event.type === 'warning' && warnings.push(event.warning.message))
      const caches = await createCacheImports(session, imports, sink, 300)
      const manager = caches.manager(undefined as never)
      const query = { shared: { rules: async () => ({ digests: [], inputs: [] }), inputs: [] } }
      expect(await manager.find(query as never)).toEqual([])
      expect(warnings.join()).toContain('did not answer within 0.3 s')
    } finally {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  })

  test('kill -9 in the middle of an export leaves what was there, or what is new, whole', async () => {
    const script = fileURLToPath(new URL('build-process.test.helper.ts', import.meta.url))
    const dest = world.directory.join('killed')
    for (const waitMs of [0, 60, 150, 250, 400]) {
      const options = {
        context,
        store: world.directory.join('killed-store'),
        outputs: [{ type: 'cacheonly' }],
        cacheTo: [{ type: 'local', dest, mode: 'max', tag: `t${waitMs}` }],
      }
      const args = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning', script]
      const child = spawn(process.execPath, [...args, JSON.stringify(options)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
      await delay(waitMs)
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      const { ran, warnings } = await buildFresh({ cacheFrom: [{ type: 'local', src: dest, tag: `t${waitMs}` }] })
      expect(warnings).toBe('')
      expect([0, ALL]).toContain(ran)
    }
    if (existsSync(dest)) rmSync(dest, { recursive: true })
  }, 60_000)
})
