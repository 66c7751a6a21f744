import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { descendantsOf, describeWith, listProcesses, mountsNaming, until } from '@ts-oci/testing'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { problemsOfStore } from '../store/store-check.test.helper.ts'
import type { BuildOptions } from '../build/public-types.ts'

/** The long form is `npm run faults -- kill`. */
const rounds = Number(process.env['TSBUILD_KILL_ROUNDS'] ?? 10)
const script = fileURLToPath(new URL('build-process.test.helper.ts', import.meta.url))

/** Every kind of work, so that a kill meets each: pull, extract, steps with mounts, copies to tree and tar, pack, export. */
const dockerfile = `FROM $BASE AS one
RUN mkdir /w && for i in 1 2 3 4 5 6 7 8 9; do head -c 300000 /dev/zero > /w/$i; done && touch -d @1 /w/* /w
FROM $BASE AS two
COPY data /data
RUN --mount=type=cache,target=/c --mount=type=bind,from=one,source=/w,target=/m cat /m/* > /sum && touch -d @1 /sum && touch /c/seen
FROM two
COPY --from=one /w /w
COPY data /again
RUN (sleep 0.1; true) && cat /w/1 > /last && touch -d @1 /last && rm /data
`

describeWith(buildNeeds, 'kill -9', () => {
  let world: BuildWorld
  let context: string
  let options: BuildOptions
  let expected: string | undefined

  beforeAll(async () => {
    world = await makeBuildWorld()
    context = await world.context('app', { Dockerfile: dockerfile, data: Buffer.alloc(2_000_000, 7) })
    options = { context, store: world.store, tags: ['app'], sourceDateEpoch: 1 }
    expected = (await world.build(context, { ...options, store: world.directory.join('undisturbed') })).configDigest
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function startBuild(more: BuildOptions): Promise<ChildProcess> {
    const args = [
      '--conditions=@ts-oci/source',
      '--disable-warning=ExperimentalWarning',
      script,
      JSON.stringify({ ...options, ...more }),
    ]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    return child
  }

  function remains(): unknown[] {
    return [
      ...listProcesses().filter(
        ({ command }) => command.includes(world.directory.path) && !command.includes('docker-registry'),
      ),
      ...mountsNaming(world.store),
    ]
  }

  test(`of the build, or of any process below it, ${rounds} times at random: nothing stays, and the next build is the same image`, async () => {
    let kills = 0
    for (let round = 0; round < rounds; round++) {
      // Half of the rounds begin with an empty cache, so that kills meet the pull too.
      const child = await startBuild({ noCache: true, ...(round % 4 === 3 ? { pull: true } : {}) })
      const exited = child.exitCode !== null ? Promise.resolve() : once(child, 'exit')
      await delay(Math.random() * 700)
      const family = [child.pid!, ...descendantsOf(child.pid!).map(({ pid }) => pid)]
      const victim = round % 2 === 0 ? child.pid! : family[Math.floor(Math.random() * family.length)]!
      try {
        process.kill(victim, 'SIGKILL')
      } catch {
        // It has ended by itself: a round without a kill.
      }
      await exited
      if (child.exitCode !== 0) kills++
      await until(() => remains().length === 0, 10_000, remains)
      if (round % 5 !== 4) continue
      expect((await world.build(context, options)).configDigest).toBe(expected)
      expect(await problemsOfStore(world.store)).toEqual([])
    }
    // Else the builds were done before they were killed, and nothing was shown.
    expect(kills).toBeGreaterThan(rounds / 4)
    expect((await world.build(context, options)).configDigest).toBe(expected)
    expect((await world.build(context, { ...options, noCache: true })).configDigest).toBe(expected)
    expect(await problemsOfStore(world.store)).toEqual([])
  }, 300_000)

  test('of a build whose step another one waits for: the other one does it', async () => {
    // Other tests sleep, too.
    const sleep = `sleep 1001.${process.pid}`
    await world.context('wait', {
      Dockerfile:
        'FROM $BASE\nRUN --mount=type=cache,id=wait,target=/c echo begun >> /c/log; [ $(wc -l < /c/log) = 2 ] || SLEEP; touch /done\n'.replace(
          'SLEEP',
          sleep,
        ),
    })
    const more: BuildOptions = { context: world.directory.join('wait'), tags: [] }
    const first = await startBuild(more)
    await until(() => listProcesses().some(({ command }) => command === sleep), 10_000)
    const second = await startBuild(more)
    await delay(500)
    expect(second.exitCode).toBeNull()
    first.kill('SIGKILL')
    await once(second, 'exit')
    expect(second.exitCode).toBe(0)
  })

  test('two processes that build the same at once execute each step once', async () => {
    await world.context('once', {
      Dockerfile:
        'FROM $BASE\nRUN --mount=type=cache,id=once,target=/c echo ran >> /c/log; sleep 0.5; cp /c/log /log\nRUN cat /log; test $(wc -l < /log) = 1\n',
    })
    const [one, two] = await Promise.all(
      [0, 1].map(() => startBuild({ context: world.directory.join('once'), tags: [] })),
    )
    const statuses = await Promise.all(
      [one!, two!].map(async (child) => {
        if (child.exitCode === null) await once(child, 'exit')
        return child.exitCode
      }),
    )
    expect(statuses).toEqual([0, 0])
    const { result } = { result: await world.build(world.directory.join('once')) }
    expect(
      result.vertices.every(
        (vertex) =>
          vertex.status !== 'ran' || vertex.name.startsWith('[internal]') || vertex.name.startsWith('exporting'),
      ),
    ).toBe(true)
  })
})
