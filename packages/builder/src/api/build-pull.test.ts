import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith, startFaultyProxy, type Fault, type StandIn } from '@ts-oci/testing'
import { build } from './build.ts'
import { images, inspect, tag } from './images.ts'
import { pull } from './pull.ts'
import type { ProgressEvent } from '../base/progress.ts'
import type { BuildOptions, BuildResult } from '../build/public-types.ts'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'

describeWith(buildNeeds, 'a base with a tag', () => {
  let world: BuildWorld
  let made = 0
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => world?.[Symbol.asyncDispose]())

  /** Pushes an image that holds this text, under `NAME:1`. */
  async function publish(name: string, text: string, more = ''): Promise<string> {
    const reference = `${world.registry.host}/${name}:1`
    const context = await world.context(`publish-${++made}`, {
      Dockerfile: `FROM scratch\nCOPY text /text\nENV TEXT=${text}\n${more}`,
      text,
    })
    await build({ context, store: world.directory.join('publisher'), tags: [reference], push: true })
    return reference
  }

  interface Outcome {
    readonly result: BuildResult
    readonly text: string | undefined
    readonly events: readonly ProgressEvent[]
  }

  async function buildOn(base: string, store: string, options: BuildOptions = {}, more = ''): Promise<Outcome> {
    const context = await world.context(`context-${store}`, {
      Dockerfile: `FROM ${base}\nCOPY file /file\n${more}`,
      file: 'x',
    })
    const events: ProgressEvent[] = []
    const onProgress = (event: ProgressEvent): void => void events.push(event)
    const result = await build({ context, store: world.directory.join(store), tags: ['app'], onProgress, ...options })
    const [image] = await images({ store: world.directory.join(store) }).then((all) =>
      all.filter((one) => one.repository === 'app'),
    )
    const { Config } = await inspect(image!.id, { store: world.directory.join(store) })
    const text = (Config['Env'] as string[]).find((entry) => entry.startsWith('TEXT='))?.slice(5)
    return { result, text, events }
  }

  async function throughLine(fault: () => Fault | undefined): Promise<StandIn> {
    return startFaultyProxy(world.registry.host, fault)
  }
  const atLine = (line: StandIn, reference: string): string => reference.replace(world.registry.host, line.host)
  const manifests = (line: StandIn, from: number): string[] =>
    line.seen.slice(from).flatMap(({ method, path }) => (path.includes('/manifests/') ? [method] : []))

  test('that moved is found by the next build, once', async () => {
    const base = await publish('moving', 'old')
    expect((await buildOn(base, 'moving')).text).toBe('old')
    await publish('moving', 'new')
    const { text, result } = await buildOn(base, 'moving')
    expect(text).toBe('new')
    expect(result.warnings).toEqual([])
    const again = await buildOn(base, 'moving')
    expect(again.text).toBe('new')
    expect(again.result.vertices.filter(({ status }) => status === 'ran').map(({ name }) => name)).toEqual(
      expect.not.arrayContaining([expect.stringContaining('COPY')]),
    )
  })

  test('that moved to one with triggers brings them', async () => {
    const base = await publish('triggers', 'old')
    await buildOn(base, 'triggers')
    await publish('triggers', 'old', 'ONBUILD ENV TEXT=triggered\n')
    expect((await buildOn(base, 'triggers')).text).toBe('triggered')
  })

  test('is asked for by one HEAD, and by none with pull=missing, never or a digest', async () => {
    await using line = await throughLine(() => undefined)
    const base = atLine(line, await publish('asked', 'a'))
    const first = await buildOn(base, 'asked')
    let from = line.seen.length
    await buildOn(base, 'asked')
    expect(manifests(line, from)).toEqual(['HEAD'])
    from = line.seen.length
    await buildOn(base, 'asked', {}, `COPY --from=${base} /text /again\n`)
    expect(manifests(line, from)).toEqual(['HEAD'])
    for (const policy of ['missing', 'never'] as const) {
      from = line.seen.length
      await buildOn(base, 'asked', { pull: policy })
      expect(line.seen.length).toBe(from)
    }
    from = line.seen.length
    const digest = /sha256:[0-9a-f]{64}/.exec(JSON.stringify(first.result.vertices.map(({ name }) => name)))?.[0]
    await buildOn(`${base}@${digest}`, 'asked')
    from = line.seen.length
    await buildOn(`${base}@${digest}`, 'asked')
    expect(line.seen.length).toBe(from)
  })

  test.each<[string, Fault]>([
    ['does not work', { status: 503 }],
    ['has had too many questions', { status: 429 }],
  ])('whose registry %s is used as it is, with a warning', async (_what, fault) => {
    let isBroken = false
    await using line = await throughLine(() => (isBroken ? fault : undefined))
    const store = `doubt-${fault.status}`
    const base = atLine(line, await publish(store, 'a'))
    await buildOn(base, store)
    isBroken = true
    const { text, result, events } = await buildOn(base, store)
    expect(text).toBe('a')
    expect(result.warnings).toEqual([
      expect.objectContaining({ message: expect.stringContaining(`${base} could not be asked for at its registry`) }),
    ])
    expect(events.some((event) => event.type === 'warning')).toBe(true)
    await expect(buildOn(base, store, { pull: 'always', retries: 0 })).rejects.toMatchObject({
      code: expect.stringMatching(/^OCI_REGISTRY_/),
    })
  })

  test.each<[string, Fault]>([
    ['takes no HEAD', { status: 405 }],
    ['names no digest', { headers: { 'docker-content-digest': '' } }],
  ])('whose registry %s is found to have moved all the same', async (what, fault) => {
    await using line = await startFaultyProxy(world.registry.host, ({ method }) =>
      method === 'HEAD' ? fault : undefined,
    )
    const store = `head-${what.replaceAll(' ', '-').toLowerCase()}`
    const base = atLine(line, await publish(store, 'old'))
    await buildOn(base, store)
    expect((await buildOn(base, store)).result.warnings).toEqual([])
    await publish(store, 'new')
    const { text, result } = await buildOn(base, store)
    expect([text, result.warnings]).toEqual(['new', []])
  })

  test('whose registry is gone is used as it is, with a warning', async () => {
    const line = await throughLine(() => undefined)
    const base = atLine(line, await publish('gone', 'a'))
    await buildOn(base, 'gone')
    await line.stop()
    const { text, result } = await buildOn(base, 'gone')
    expect(text).toBe('a')
    expect(result.warnings).toHaveLength(1)
  })

  test('whose registry says nothing costs seconds, not the build', async () => {
    let isSilent = false
    await using line = await startFaultyProxy(world.registry.host, () => (isSilent ? { delayMs: 60_000 } : undefined))
    const base = atLine(line, await publish('silent', 'a'))
    await buildOn(base, 'silent')
    isSilent = true
    const startMs = performance.now()
    expect((await buildOn(base, 'silent')).result.warnings).toHaveLength(1)
    expect(performance.now() - startMs).toBeLessThan(12_000)
  }, 20_000)

  test('that its registry no longer has, or does not give, fails as a new one would', async () => {
    let status: number | undefined
    await using line = await throughLine(() => (status === undefined ? undefined : { status }))
    const base = atLine(line, await publish('refused', 'a'))
    await buildOn(base, 'refused')
    for (const [answer, code] of [
      [404, 'OCI_REGISTRY_NOT_FOUND'],
      [403, 'OCI_REGISTRY_DENIED'],
    ] as const) {
      status = answer
      await expect(buildOn(base, 'refused')).rejects.toMatchObject({
        code,
        hint: expect.stringContaining('--pull=missing'),
      })
    }
    expect((await buildOn(base, 'refused', { pull: 'missing' })).text).toBe('a')
  })

  test('that the user pulled, tagged or built is used as it is, unless pull=always asks', async () => {
    await using line = await throughLine(() => undefined)
    const base = atLine(line, await publish('own', 'old'))
    const store = world.directory.join('own')
    await pull(base, { store })
    await tag(base, `${line.host}/tagged:1`, { store })
    await publish('own', 'new')
    const from = line.seen.length
    expect((await buildOn(base, 'own')).text).toBe('old')
    expect((await buildOn(`${line.host}/tagged:1`, 'own')).text).toBe('old')
    expect((await buildOn('app', 'own')).text).toBe('old')
    expect(line.seen.length).toBe(from)
    expect((await buildOn(base, 'own', { pull: 'always' })).text).toBe('new')
    expect((await buildOn(base, 'own', { pull: true })).text).toBe('new')
  })

  test('is never fetched with pull=never: image, or layer', async () => {
    const base = await publish('never', 'a')
    await expect(buildOn(base, 'never', { pull: 'never' })).rejects.toMatchObject({
      code: 'OCI_IMAGE_NOT_FOUND',
      hint: expect.stringContaining('tsbuild pull'),
    })
    const store = world.directory.join('never')
    const bare = await world.context('bare', { Dockerfile: `FROM ${base}\nENV A=1\n` })
    await build({ context: bare, store })
    await expect(buildOn(base, 'never', { pull: 'never' })).rejects.toMatchObject({
      code: 'OCI_IMAGE_NOT_FOUND',
      message: expect.stringContaining('layer sha256:'),
    })
  })
})
