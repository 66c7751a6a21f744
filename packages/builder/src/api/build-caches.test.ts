import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeWith, startFaultyProxy } from '@ts-oci/testing'
import type { ProgressEvent } from '../base/progress.ts'
import type { BuildOptions, BuildResult, CacheOption } from '../build/public-types.ts'
import { summarize } from './summarize.ts'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'

/** What BuildKit 0.25 (Docker 28.5.2) wrote with `--cache-to type=local` of the context beside it. */
const RECORDED = fileURLToPath(new URL('../../../../fixtures/buildkit-cache', import.meta.url))

const FILES = {
  Dockerfile: 'FROM scratch AS a\nCOPY one /1\nFROM scratch\nCOPY --from=a /1 /2\nCOPY two /3\n',
  one: 'one',
  two: 'two',
}

describeWith(buildNeeds, 'caches that travel', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** Builds with an empty store, and says what was told beside the result. */
  async function buildFresh(
    context: string,
    options: Partial<BuildOptions>,
  ): Promise<{ readonly result: BuildResult; readonly warnings: readonly string[] }> {
    const warnings: string[] = []
    const onProgress = (event: ProgressEvent): void => {
      if (event.type === 'warning') warnings.push(event.warning.message)
    }
    const store = world.directory.join(`store-${Math.random()}`)
    return { result: await world.build(context, { store, onProgress, ...options }), warnings }
  }
  const writeTo = async (context: string, ...cacheTo: CacheOption[]): Promise<void> => {
    await buildFresh(context, { outputs: [{ type: 'cacheonly' }], cacheTo })
  }
  const ran = (result: BuildResult): readonly string[] =>
    verticesOf(result, 'ran').filter((name) => !name.startsWith('[internal]'))

  test.each(['min', 'max'])('nothing is run again of what a cache of BuildKit has (mode=%s)', async (mode) => {
    const { result, warnings } = await buildFresh(join(RECORDED, 'context'), {
      cacheFrom: [{ type: 'local', src: join(RECORDED, mode) }],
      outputs: [{ type: 'oci', dest: world.directory.join(`recorded-${mode}.tar`) }],
    })
    expect(ran(result)).toEqual([])
    expect(verticesOf(result, 'cached').length).toBeGreaterThan(5)
    expect(warnings).toEqual([])
    // The image is made of the very layers that BuildKit packed.
    const directory = join(RECORDED, mode, 'blobs/sha256')
    const texts = readdirSync(directory).map((hex) => readFileSync(join(directory, hex), 'latin1'))
    expect(result.layers.length).toBeGreaterThan(2)
    for (const { diffId } of result.layers) expect(texts.some((text) => text.includes(diffId))).toBe(true)
  })

  test('a cache in a directory or a registry is hit by another store, image and all', async () => {
    const context = await world.context('travels', FILES)
    const dest = world.directory.join('travels-cache')
    const ref = `${world.registry.host}/travels:cache`
    await writeTo(context, { type: 'local', dest, mode: 'max' }, { type: 'registry', ref, mode: 'max' })
    for (const from of [
      { type: 'local', src: dest },
      { type: 'registry', ref },
    ] as const) {
      const { result } = await buildFresh(context, { cacheFrom: [from], outputs: [{ type: 'image' }] })
      expect(ran(result)).toEqual([])
    }
  })

  test('a base is not fetched for a hit, though the cache has its layers too', async () => {
    const base = `${world.registry.host}/busybox:1`
    const context = await world.context('base', { Dockerfile: `FROM ${base}\nCOPY one /1\n`, one: 'one' })
    const ref = `${world.registry.host}/with-base:cache`
    await writeTo(context, { type: 'registry', ref, mode: 'max' })
    const { result } = await buildFresh(context, {
      cacheFrom: [{ type: 'registry', ref }],
      outputs: [{ type: 'image' }],
    })
    expect(ran(result)).toEqual([])
    expect(result.traffic.fetchedBytes).toBeLessThan(10_000)
  })

  test('an image with its cache inside is a cache', async () => {
    const context = await world.context('inline', FILES)
    const name = `${world.registry.host}/inline:1`
    await buildFresh(context, { tags: [name], push: true, cacheTo: [{ type: 'inline' }] })
    const { result } = await buildFresh(context, { cacheFrom: [{ type: 'registry', ref: name }] })
    expect(ran(result)).toEqual([])
  })

  test('what changed is run, what did not is taken', async () => {
    const context = await world.context('changed', FILES)
    const dest = world.directory.join('changed-cache')
    await writeTo(context, { type: 'local', dest, mode: 'max' })
    const changed = await world.context('changed-2', { ...FILES, two: 'another' })
    const { result } = await buildFresh(changed, { cacheFrom: [{ type: 'local', src: dest }] })
    expect(ran(result)).toEqual(['COPY two /3'])
  })

  test('a hit names its cache, a miss the nearest one and what that lacks', async () => {
    const context = await world.context('told', FILES)
    const [near, far] = [world.directory.join('told-near'), world.directory.join('told-far')]
    await writeTo(context, { type: 'local', dest: near, mode: 'max' })
    await writeTo(await world.context('told-far-away', { Dockerfile: 'FROM scratch\nCOPY one /4\n', one: 'one' }), {
      type: 'local',
      dest: far,
    })
    const Dockerfile = `${FILES.Dockerfile}COPY two /5\n`
    const { result } = await buildFresh(await world.context('told-2', { ...FILES, Dockerfile, two: 'another' }), {
      cacheFrom: [
        { type: 'local', src: far },
        { type: 'local', src: near },
      ],
    })
    const told = result.vertices.map(({ name, cacheOrigin, missReason }) => [name, cacheOrigin, missReason])
    expect(told).toContainEqual(['[stage-1 1/3] COPY --from=a /1 /2', `local:${near}`, undefined])
    expect(told).toContainEqual([
      '[stage-1 2/3] COPY two /3',
      undefined,
      `local:${near} has the step with other files of the context`,
    ])
    expect(told).toContainEqual(['[stage-1 3/3] COPY two /5', undefined, `local:${far} does not have the step`])
    expect(summarize(result).cachedFrom).toMatchObject({ '[stage-1 1/3] COPY --from=a /1 /2': `local:${near}` })
  })

  test('a hit is kept in the store: the next build asks no cache', async () => {
    const context = await world.context('kept', FILES)
    const dest = world.directory.join('kept-cache')
    await writeTo(context, { type: 'local', dest, mode: 'max' })
    const store = world.directory.join('kept-store')
    await world.build(context, { store, cacheFrom: [{ type: 'local', src: dest }] })
    rmSync(dest, { recursive: true })
    expect(ran(await world.build(context, { store }))).toEqual([])
  })

  test('a layer that the cache has lost is made again', async () => {
    const context = await world.context('lost', FILES)
    const whole = world.directory.join('lost-whole')
    await writeTo(context, { type: 'local', dest: whole, mode: 'max' })
    const poor = world.directory.join('lost-poor')
    cpSync(whole, poor, { recursive: true })
    for (const name of readdirSync(join(poor, 'blobs/sha256'))) {
      const path = join(poor, 'blobs/sha256', name)
      if (readFileSync(path)[0] === 0x1f) rmSync(path)
    }
    const { result, warnings } = await buildFresh(context, {
      cacheFrom: [{ type: 'local', src: poor }],
      outputs: [{ type: 'oci', dest: world.directory.join('lost.tar') }],
    })
    expect(result.layers.map(({ diffId }) => diffId)).toHaveLength(2)
    expect(warnings.join('\n')).toMatch(/could not be had, its step is run/)
  })

  test('a cache that is damaged, or whose registry fails, is a warning and a build', async () => {
    const context = await world.context('damaged', FILES)
    const dest = world.directory.join('damaged-cache')
    await writeTo(context, { type: 'local', dest })
    for (const name of readdirSync(join(dest, 'blobs/sha256'))) rmSync(join(dest, 'blobs/sha256', name))
    await using proxy = await startFaultyProxy(world.registry.host, () => ({ status: 500 }))
    const { result, warnings } = await buildFresh(context, {
      retries: 0,
      cacheFrom: [
        { type: 'local', src: dest },
        { type: 'registry', ref: `${proxy.host}/x:y` },
      ],
    })
    expect(ran(result)).toHaveLength(3)
    expect(warnings).toHaveLength(2)
  })

  test('no cache is there before the first build: nobody is warned', async () => {
    const context = await world.context('first', FILES)
    const { result, warnings } = await buildFresh(context, {
      cacheFrom: [
        { type: 'local', src: world.directory.join('nowhere') },
        { type: 'registry', ref: `${world.registry.host}/nobody:nothing` },
      ],
    })
    expect(ran(result)).toHaveLength(3)
    expect(warnings).toEqual([])
  })

  test('what is said of a cache is checked before anything is built', async () => {
    const context = await world.context('wrong', FILES)
    const refusals = [
      [{ type: 'local', dest: 'x', mode: 'most' }, 'min or max expected'],
      [{ type: 'registry' }, 'ref is missing'],
      [{ type: 'registry', ref: 'a', 'image-manifest': true, 'oci-mediatypes': false }, 'OCI mediatypes are required'],
      [{ type: 'local', dest: 'x', moed: 'max' }, 'unknown attribute "moed"'],
      [{ type: 'locl', dest: 'x' }, 'unknown cache type'],
    ] as const
    for (const [option, message] of refusals)
      await expect(world.build(context, { cacheTo: [option as CacheOption] })).rejects.toMatchObject({
        code: expect.stringMatching(/^OCI_OPTION_/),
        message: expect.stringContaining(message),
      })
  })
})
