import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import type { BuildOptions, BuildResult } from '../build/public-types.ts'
import type { ProgressEvent } from '../base/progress.ts'
import { build } from './build.ts'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'
import { images } from './images.ts'
import { openSession } from './session.ts'
import { prune } from './usage.ts'

/** A step that says when it begins and ends, and counts in a cache mount how often it ran. */
const counting = (name: string): string =>
  `RUN --mount=type=cache,id=${name},target=/m echo ${name} >> /m/log; echo begun; sleep 1; cat /m/log > /log; echo ended`

describeWith(buildNeeds, 'builds of one session', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** Two targets over one step. */
  const targets = (name: string): Promise<string> =>
    world.context(name, {
      Dockerfile: `FROM $BASE AS common\n${counting(name)}\nFROM common AS one\nRUN echo 1 > /own\nFROM common AS two\nRUN echo 2 > /own\n`,
    })

  async function watched(options: BuildOptions): Promise<{ result: BuildResult; events: ProgressEvent[] }> {
    const events: ProgressEvent[] = []
    const result = await build({ ...options, onProgress: (event) => events.push(event) })
    return { result, events }
  }

  /** What a step wrote, as one build was told of it. */
  function logOf(events: readonly ProgressEvent[], name: string): string {
    const ids = new Set(
      events.flatMap((event) => (event.type === 'vertex' && event.name.includes(name) ? [event.id] : [])),
    )
    const logs = events.flatMap((event) => (event.type === 'log' && ids.has(event.vertex) ? [event.data] : []))
    return Buffer.concat(logs).toString()
  }

  test.each([{ noCache: false }, { noCache: true }])(
    'run a step that two targets need once, and each is told of all of it (%j)',
    async ({ noCache }) => {
      const context = await targets(`shared-${noCache}`)
      await using session = await openSession({ store: world.store })
      const start = (target: string): ReturnType<typeof watched> =>
        watched({ session, context, target, noCache, keepCacheMounts: true, tags: [`${target}-${noCache}`] })
      const [one, two] = await Promise.all([start('one'), start('two')])
      for (const { result, events } of [one, two]) {
        // With each build on its own, one of them had found the step in the cache, and not heard of it.
        expect(verticesOf(result, 'ran').filter((name) => name.startsWith('RUN'))).toHaveLength(2)
        expect(logOf(events, 'cat /m/log')).toBe('begun\nended\n')
      }
      const files = async (tag: string): Promise<string> => {
        const read = await watched({
          context: await world.context('read', { Dockerfile: `FROM ${tag}\nRUN cat /log /own\n` }),
          store: world.store,
          noCache: true,
        })
        return logOf(read.events, 'cat /log')
      }
      // The step itself counted how often it ran.
      expect(await files(`one-${noCache}`)).toBe(`shared-${noCache}\n1\n`)
      expect(await files(`two-${noCache}`)).toBe(`shared-${noCache}\n2\n`)
    },
  )

  test('a build that is stopped leaves the step that it ran to the one that waits for it', async () => {
    const context = await targets('stopped')
    await using session = await openSession({ store: world.store })
    const stop = new AbortController()
    const onProgress = (event: ProgressEvent): void => {
      if (event.type === 'log') stop.abort()
    }
    const first = build({ session, context, target: 'one', signal: stop.signal, onProgress })
    const second = new Promise((done) => setTimeout(done, 50)).then(() => build({ session, context, target: 'two' }))
    await expect(first).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    expect(verticesOf(await second, 'ran').filter((name) => name.startsWith('RUN'))).toHaveLength(2)
  })

  test('a step that fails runs once, and fails both', async () => {
    const context = await world.context('failing', {
      Dockerfile: 'FROM $BASE\nRUN --mount=type=cache,target=/f echo x >> /f/log; sleep 0.5; cat /f/log; exit 3\n',
    })
    await using session = await openSession({ store: world.store })
    const ended = await Promise.all(
      ['a', 'b'].map((tag) => build({ session, context, tags: [tag] }).catch((error: unknown) => error)),
    )
    for (const error of ended)
      expect(error).toMatchObject({ code: 'OCI_STEP_FAILED', details: { exitCode: 3, output: 'x\n' } })
  })

  test('share its store, which stays open behind a call, and cannot name another one', async () => {
    const context = await world.context('plain', { Dockerfile: 'FROM scratch\nLABEL a=b\n' })
    await using session = await openSession({ store: world.directory.join('own') })
    await build({ session, context, tags: ['first'] })
    await build({ session, context, tags: ['second'] })
    expect((await images({ session })).map(({ repository }) => repository).toSorted()).toEqual(['first', 'second'])
    await expect(build({ session, context, store: world.store })).rejects.toMatchObject({
      code: 'OCI_OPTION_INVALID',
      message: 'store cannot be given beside session',
    })
    await expect(build({ session, context, jobs: 2 })).rejects.toMatchObject({ message: /^jobs cannot/ })
  })

  test('keep what they use while another call of it prunes, and lose it to one when they have ended', async () => {
    const context = await world.context('pruned', {
      Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\nRUN echo begun; sleep 1; cat /one; ls /bin/busybox\n',
    })
    await using session = await openSession({ store: world.directory.join('store-pruned') })
    const begun = Promise.withResolvers<void>()
    const onProgress = (event: ProgressEvent): void => {
      if (event.type === 'log') begun.resolve()
    }
    const running = build({ session, context, onProgress, outputs: [{ type: 'cacheonly' }] })
    await begun.promise
    expect(await prune({ session, all: true })).toMatchObject({ removed: [] })
    // Its second step has read what the first one and the base left.
    expect(verticesOf(await running, 'ran').filter((name) => name.startsWith('RUN'))).toHaveLength(2)
    expect((await prune({ session, all: true })).reclaimedBytes).toBeGreaterThan(0)
  })

  test('are stopped when it is closed, and have ended when that is done', async () => {
    const context = await targets('closed')
    const session = await openSession({ store: world.store })
    let isEnded = false
    const begun = Promise.withResolvers<void>()
    const onProgress = (event: ProgressEvent): void => {
      if (event.type === 'log') begun.resolve()
    }
    const running = build({ session, context, target: 'one', onProgress }).finally(() => (isEnded = true))
    running.catch(() => undefined)
    await begun.promise
    await session[Symbol.asyncDispose]()
    expect(isEnded).toBe(true)
    await expect(running).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    await expect(build({ session, context })).rejects.toMatchObject({ code: 'OCI_CANCELED' })
  })
})
