import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describeWith, listProcesses, until } from '@ts-oci/testing'
import { runCrowd } from './build-crowd.test.helper.ts'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'

describeWith(buildNeeds, 'steps side by side', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  test('independent stages run at the same time', async () => {
    // Each waits until the other one has begun: one after the other would end in the time limit.
    const meet = (own: string, other: string): string =>
      `RUN --mount=type=cache,target=/meet touch /meet/${own}; i=0; while [ ! -e /meet/${other} ]; do sleep 0.1; i=$((i+1)); [ $i -lt 100 ] || exit 9; done; touch /${own}`
    const context = await world.context('meet', {
      Dockerfile: `FROM $BASE AS a\n${meet('a', 'b')}\nFROM $BASE AS b\n${meet('b', 'a')}\nFROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n`,
    })
    await world.build(context)
  })

  test('a failure stops what runs, keeps what is finished, and is the error that is told', async () => {
    const text = (status: number): string =>
      [
        'FROM $BASE AS slow',
        'RUN echo finished > /first',
        `RUN --mount=type=cache,id=fail,target=/m touch /m/slow; [ ${status} = 0 ] || sleep 60`,
        'FROM $BASE AS bad',
        `RUN --mount=type=cache,id=fail,target=/m while [ ! -e /m/slow ]; do sleep 0.05; done; exit ${status}`,
        'FROM scratch',
        'COPY --from=slow /first /',
        'COPY --from=bad /etc/passwd /',
        '',
      ].join('\n')
    const context = await world.context('fail', { Dockerfile: text(7) })
    const startMs = Date.now()
    await expect(world.build(context)).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
      message: expect.stringContaining('exit code: 7'),
      location: { startLine: 5 },
    })
    expect(Date.now() - startMs).toBeLessThan(20_000)
    await world.context('fail', { Dockerfile: text(0) })
    expect(verticesOf(await world.build(context), 'cached')).toContain('RUN echo finished > /first')
  })

  /** As after a crash of the machine: what no sync has spoken for is not relied on. */
  function changeBoot(): void {
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
    const database = new DatabaseSync(`${world.store}/meta.sqlite`)
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    for (const column of ['tree', 'unsynced'])
      database.prepare(`UPDATE layers SET ${column} = replace(${column}, ?, 'another')`).run(boot)
    database.close()
  }

  test('what was finished when a build failed outlives a crash of the machine, and so does a long step of one that was killed', async () => {
    const text = (status: number): string =>
      `FROM $BASE\nRUN echo kept > /kept\nRUN sleep 1.1; echo long > /long\nRUN sleep 0.1; touch /t; exit ${status}\n`
    const context = await world.context('crash', { Dockerfile: text(7) })
    await expect(world.build(context)).rejects.toMatchObject({ code: 'OCI_STEP_FAILED' })
    changeBoot()
    await world.context('crash', { Dockerfile: text(0) })
    const result = await world.build(context)
    expect(verticesOf(result, 'ran').filter((name) => name.startsWith('RUN'))).toEqual([
      'RUN sleep 0.1; touch /t; exit 0',
    ])
    // Other tests sleep, too.
    const sleep = `sleep 1000.${process.pid}`
    const hanging = await world.context('hanging', {
      Dockerfile: `FROM $BASE\nRUN sleep 1.2; echo hanging > /long\nRUN --mount=type=cache,target=/c touch /c/on; ${sleep}\n`,
    })
    const flags = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning']
    const script = fileURLToPath(new URL('build-process.test.helper.ts', import.meta.url))
    const child = spawn(process.execPath, [...flags, script, JSON.stringify({ context: hanging, store: world.store })])
    await until(() => listProcesses().some(({ command }) => command === sleep), 30_000)
    child.kill('SIGKILL')
    await once(child, 'exit')
    changeBoot()
    await world.context('hanging', {
      Dockerfile: 'FROM $BASE\nRUN sleep 1.2; echo hanging > /long\n'.replace('$BASE', world.base),
    })
    expect(verticesOf(await world.build(hanging), 'ran').filter((name) => name.startsWith('RUN'))).toEqual([])
  }, 90_000)

  test('many builds of graphs that share bases, caches and names all end, whoever prunes or dies meanwhile', async () => {
    const result = await runCrowd({
      directory: world.directory.join('crowd'),
      processes: 2,
      builds: 8,
      rounds: 2,
      prunes: true,
      disturbMs: 4000,
      disturbances: 5,
      seed: 7,
      limitMs: 60_000,
    })
    expect(result.problems).toEqual([])
    expect(result.builds).toBe(32)
  }, 180_000)

  test('two builds in one process execute a step once', async () => {
    const context = await world.context('twice', {
      Dockerfile:
        'FROM $BASE\nRUN --mount=type=cache,id=twice,target=/m echo ran >> /m/log; sleep 0.3; cat /m/log > /log\n',
    })
    const [one, two] = await Promise.all([world.build(context), world.build(context)])
    expect([...verticesOf(one, 'ran'), ...verticesOf(two, 'ran')]).toHaveLength(1)
    expect(two.configDigest).toBe(one.configDigest)
  })

  test('two steps that ask for a new cache mount at once both see what its source holds', async () => {
    const step = (name: string): string =>
      `FROM $BASE AS ${name}\nRUN --mount=type=cache,id=begun,from=source,source=/s,target=/c test $(cat /c/* | wc -l) = 40 && test "$(stat -c '%u:%g %a' /c /c/1 | tr '\\n' ' ')" = '5:6 700 5:6 644 ' && touch /${name}\n`
    const source =
      'FROM $BASE AS source\nRUN mkdir -m 700 /s && for i in $(seq 40); do echo $i > /s/$i; done && chown -R 5:6 /s\n'
    const context = await world.context('begun', {
      Dockerfile: `${source}${step('a')}${step('b')}FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n`,
    })
    await world.build(context)
  })

  test('no more steps run at once than allowed', async () => {
    const stage = (name: string): string =>
      `FROM $BASE AS ${name}\nRUN --mount=type=cache,id=bound,target=/m mkdir /m/busy && sleep 0.2 && rmdir /m/busy && touch /${name}\n`
    const names = ['a', 'b', 'c']
    const context = await world.context('bound', {
      Dockerfile: `${names.map(stage).join('')}FROM scratch\n${names.map((name) => `COPY --from=${name} /${name} /`).join('\n')}\n`,
    })
    await world.build(context, { jobs: 1 })
  })
})
