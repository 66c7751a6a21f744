import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { describeWith, findTool, testWith, until } from '@ts-oci/testing'
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { openStore } from '../store/store.ts'
import { history } from './images.ts'
import { serveRepositories } from '../ops/git/repositories.test.helper.ts'
import type { BuildOptions } from '../build/public-types.ts'

// Expected values are those of BuildKit 0.25 for the same files.
describeWith(buildNeeds, 'mounts of a step', () => {
  let world: BuildWorld
  let count = 0
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** Builds a stage and gives what its `/out` holds. */
  async function outOf(lines: readonly string[], options: BuildOptions = {}): Promise<string> {
    const stages = ['FROM $BASE AS made', ...lines, 'FROM scratch', 'COPY --from=made /out /', '']
    const context = await world.context(`mounts-${count++}`, { Dockerfile: stages.join('\n'), file: 'content\n' })
    symlinkSync('file', join(context, 'link'))
    symlinkSync('/file', join(context, 'absolute'))
    const dest = world.directory.join(`out-${count}`)
    await world.build(context, { outputs: [{ type: 'local', dest }], ...options })
    return readFile(join(dest, 'out'), 'utf8')
  }

  test('a source in the context that is a link is followed', async () => {
    const step = 'RUN --mount=source=link,target=/a --mount=source=absolute,target=/b cat /a /b > /out'
    expect(await outOf([step])).toBe('content\ncontent\n')
  })

  test('a secret at a relative path is below the working directory', async () => {
    const secrets = [{ id: 's', value: 'secret' }].map(({ id, value }) => {
      const file = world.directory.join(`secret-${id}`)
      writeFileSync(file, value)
      return { id, file }
    })
    const lines = ['WORKDIR /work', 'RUN --mount=type=secret,id=s,target=here cat /work/here > /out']
    expect(await outOf(lines, { secrets })).toBe('secret')
  })

  testWith(['git'], 'a cache cannot be the mirror of a repository, whose configuration git reads outside', async () => {
    await using repositories = await serveRepositories()
    repositories.make('repo', { 'a.txt': 'a' })
    const remote = `${repositories.url}/repo`
    const mount = `--mount=type=cache,id=${remote.replace('git:/', '')},target=/m`
    const lines = [
      `ADD ${remote} /repo`,
      `RUN ${mount} ls -A /m > /out; touch /m/config; test -e /repo/a.txt`,
      `RUN ${mount} ls -A /m >> /out`,
    ]
    const buildArgs = { BUILDKIT_CACHE_MOUNT_NS: 'git repository git:' }
    expect(await outOf(lines, { buildArgs })).toBe('config\n')
  })

  test('the variable of a secret that may be missing and is, is empty', async () => {
    expect(await outOf(['RUN --mount=type=secret,id=none,env=X echo "[${X-unset}]" > /out'])).toBe('[]\n')
  })

  test('caches of one id are different ones where they ask for different owners', async () => {
    const mount = '--mount=type=cache,id=owners,target=/c'
    const lines = [
      `RUN ${mount},uid=7,gid=8,mode=0700 stat -c '%a %u:%g' /c > /out && touch /c/mine`,
      `RUN ${mount} stat -c '%a %u:%g' /c >> /out && ls /c >> /out`,
      `RUN ${mount},uid=7,gid=8,mode=0700 ls /c >> /out`,
    ]
    expect(await outOf(lines)).toBe('700 7:8\n755 0:0\nmine\n')
  })

  test.each(['locked', 'private', 'shared'])(
    'a step that mounts one cache twice (%s) sees one directory in both places',
    async (sharing) => {
      const mount = (target: string, how: string): string =>
        `--mount=type=cache,id=twice-${sharing},target=${target},sharing=${how}`
      const step = `RUN ${mount('/a', sharing)} ${mount('/b', 'shared')} ${mount('/c', sharing)} echo $$ >/a/f; cat /b/f >/out; cmp /b/f /c/f`
      expect(await outOf([step])).toMatch(/^\d+\n$/)
    },
    20_000,
  )

  test('stages that mount the same locked caches in opposite orders both end', async () => {
    // Mounts are looked at in the order of their targets.
    const mount = (id: string, index: number): string =>
      `--mount=type=cache,id=order-${id},target=/${index},sharing=locked`
    const stages = ['x y', 'x y', 'x y', 'y x', 'x y'].flatMap((order, index) => [
      `FROM $BASE AS s${index}`,
      `RUN ${order.split(' ').map(mount).join(' ')} : ${index}; touch /done`,
    ])
    const copies = [0, 1, 2, 3, 4].map((index) => `COPY --from=s${index} /done /${index}`)
    const context = await world.context('order', { Dockerfile: [...stages, 'FROM scratch', ...copies, ''].join('\n') })
    for (let round = 0; round < 4; round++) {
      await using store = await openStore({ root: world.store })
      // Until one that takes y first would have it and wait for x, as all the others do.
      const held = await store.locks.acquire('cache-mount-/order-x')
      const building = world.build(context, { noCache: true, signal: AbortSignal.timeout(15_000) })
      await new Promise((resolve) => setTimeout(resolve, 400))
      await held[Symbol.asyncDispose]()
      await building
    }
  }, 60_000)

  test('a step that waits for a cache leaves its turn to others', async () => {
    const dockerfile = (lines: readonly string[]): string => `FROM $BASE AS made\n${lines.join('\n')}\n`
    const cache = '--mount=type=cache,id=turn,target=/c,sharing=locked'
    const holder = await world.context('holder', {
      Dockerfile: dockerfile([`RUN ${cache} touch /c/held; while [ ! -e /c/free ]; do sleep 0.05; done`]),
    })
    const waiter = await world.context('waiter', {
      Dockerfile: `FROM $BASE AS one\nRUN ${cache} touch /done\nFROM $BASE AS two\nRUN --mount=type=cache,id=turn-open,target=/o touch /o/ran /done\nFROM scratch\nCOPY --from=one /done /1\nCOPY --from=two /done /2\n`,
    })
    const placeOf = (id: string): string =>
      join(world.store, 'cache-mounts', createHash('sha256').update(`/${id}`).digest('hex').slice(0, 40))
    const held = world.build(holder)
    await until(() => existsSync(join(placeOf('turn'), 'held')), 20_000)
    const waiting = world.build(waiter, { jobs: 1 })
    // The only turn is not kept by the step that waits.
    await until(() => existsSync(join(placeOf('turn-open'), 'ran')), 20_000)
    writeFileSync(join(placeOf('turn'), 'free'), '')
    await Promise.all([held, waiting])
  }, 60_000)

  test('caches of steps that are run again on purpose are emptied once, unless they are kept; others stay', async () => {
    const cache = (id: string): string => `--mount=type=cache,id=again-${id},target=/c`
    const count = (id: string): string => `RUN ${cache(id)} echo >> /c/log; wc -l < /c/log >> /out`
    const context = await world.context('again', {
      Dockerfile: `FROM $BASE AS a\n${count('a')}\n${count('a')} # 2\nFROM a AS b\n${count('b')}\nFROM scratch\nCOPY --from=b /out /\n`,
    })
    const build = async (options: BuildOptions): Promise<string> => {
      const dest = world.directory.join('again-out')
      await world.build(context, { outputs: [{ type: 'local', dest }], ...options })
      return readFile(join(dest, 'out'), 'utf8')
    }
    expect(await build({})).toBe('1\n2\n1\n')
    expect(await build({ noCache: true })).toBe('1\n2\n1\n')
    expect(await build({ noCache: true, keepCacheMounts: true })).toBe('3\n4\n2\n')
    expect(await build({ noCacheFilter: ['b'] })).toBe('3\n4\n1\n')
    expect(await build({ noCacheFilter: ['a'] })).toBe('1\n2\n2\n')
  }, 60_000)

  test('a cache whose id ends like a copy of another one is its own: that one is emptied alone', async () => {
    const ids = ['named', 'named#1', 'named:0123456789abcdef']
    const context = await world.context('named', {
      Dockerfile: [
        'FROM $BASE AS a',
        // Another command than that of the test before: the id is in no key.
        'RUN --mount=type=cache,id=named,target=/c : named; echo >> /c/log; wc -l < /c/log >> /out',
        'FROM a AS b',
        ...ids.slice(1).map((id) => `RUN --mount=type=cache,id=${id},target=/c echo >> /c/log; wc -l < /c/log >> /out`),
        'FROM scratch',
        'COPY --from=b /out /',
        '',
      ].join('\n'),
    })
    const build = async (options: BuildOptions): Promise<string> => {
      const dest = world.directory.join('named-out')
      await world.build(context, { outputs: [{ type: 'local', dest }], ...options })
      return readFile(join(dest, 'out'), 'utf8')
    }
    expect(await build({})).toBe('1\n1\n1\n')
    expect(await build({ noCacheFilter: ['a'], keepCacheMounts: true })).toBe('2\n2\n2\n')
    expect(await build({ noCacheFilter: ['a'] })).toBe('1\n3\n3\n')
  }, 60_000)

  test.each([
    ['a cache', '--mount=type=cache,source=/none,target=/x'],
    ['a stage for a cache', '--mount=type=cache,from=made,source=/none,target=/x'],
    ['a stage', '--mount=from=made,source=/none,target=/x'],
  ])('a source that %s does not have is named', async (_what, mount) => {
    const context = await world.context('missing', {
      Dockerfile: `FROM $BASE AS made\nFROM $BASE\nRUN ${mount} true\n`,
    })
    await expect(world.build(context)).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
      message: 'process "/bin/sh -c true" did not complete successfully: open /none: no such file or directory',
    })
  })

  testWith(['ssh-add', 'ssh-keygen', 'ldd'], 'a step has the keys of each id behind sockets of its own', async () => {
    const keys = ['one', 'two'].map((name) => world.directory.join(`key-${name}`))
    for (const key of keys) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
    const sshAdd = findTool('ssh-add')!
    const linked = execFileSync('ldd', [sshAdd], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)
    const tools = world.directory.join('tools')
    for (const path of [sshAdd, ...[...linked].map(([, path]) => path!)]) {
      mkdirSync(join(tools, dirname(path)), { recursive: true })
      copyFileSync(path, join(tools, path))
    }
    const out = await outOf(
      [
        'COPY --from=tools . /',
        [
          'RUN --mount=type=ssh --mount=type=ssh,id=b,target=/agents/b,mode=0640,uid=5,gid=6,required',
          '--mount=type=ssh,id=none,target=/none',
          `(echo $SSH_AUTH_SOCK; ${sshAdd} -L; SSH_AUTH_SOCK=/agents/b ${sshAdd} -L; stat -c %a:%u:%g $SSH_AUTH_SOCK /agents/b;`,
          'test -e /none || echo none) > /out',
        ].join(' '),
      ],
      {
        buildContexts: { tools },
        ssh: [
          { id: 'default', paths: [keys[0]!] },
          { id: 'b', paths: [keys[1]!] },
        ],
      },
    )
    const [one, two] = keys.map((key) => readFileSync(`${key}.pub`, 'utf8').trim())
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => line.trim()),
    ).toEqual(['/run/buildkit/ssh_agent.0', one, two, '600:0:0', '640:5:6', 'none'])
  })

  test('a step that needs an agent which nobody lent is refused in BuildKit’s words', async () => {
    await expect(outOf(['RUN --mount=type=ssh,id=x,required true'])).rejects.toMatchObject({
      message: expect.stringContaining('unset ssh forward key x'),
      hint: 'give --ssh x',
    })
  })
})

describeWith(buildNeeds, 'a stage that begins with a local context', () => {
  test('is found by all of its content, whatever stands on it', async () => {
    await using world = await makeBuildWorld()
    const other = await world.context('below', { f: 'one\n' })
    const context = await world.context('steps', {
      Dockerfile:
        'FROM other AS x\nWORKDIR /made\nCOPY Dockerfile /copied\nFROM $BASE\nCOPY --from=x / /x/\nRUN cat /x/f > /seen\n',
    })
    const dest = world.directory.join('out')
    const seen = async (): Promise<string> => {
      await world.build(context, { buildContexts: { other }, outputs: [{ type: 'local', dest }] })
      return readFile(join(dest, 'seen'), 'utf8')
    }
    expect(await seen()).toBe('one\n')
    writeFileSync(join(other, 'f'), 'another\n')
    expect(await seen()).toBe('another\n')
  })

  test('can run what it holds', async () => {
    await using world = await makeBuildWorld()
    const other = await world.context('programs', { file: 'x' })
    const context = await world.context('run', { Dockerfile: 'FROM other\nRUN ["/missing"]\n' })
    await expect(world.build(context, { buildContexts: { other } })).rejects.toMatchObject({ code: 'OCI_STEP_FAILED' })
  })

  test('has its content as the first layer', async () => {
    await using world = await makeBuildWorld()
    const context = await world.context('local', { Dockerfile: 'FROM other\nCOPY file /copied\n', file: 'x\n' })
    const other = world.directory.join('other')
    mkdirSync(other)
    writeFileSync(join(other, 'below'), 'y\n')
    const result = await world.build(context, { buildContexts: { other }, tags: ['local'] })
    expect(result.layers).toHaveLength(2)
    const entries = await history('local', { store: world.store })
    expect(entries.map(({ createdBy }) => createdBy)).toEqual([
      '[1/2] COPY file /copied',
      'COPY file /copied # buildkit',
    ])
  })
})

describeWith(buildNeeds, 'names of contexts', () => {
  test.each([
    [
      'Upper',
      '.',
      'invalid context name Upper: invalid reference format: repository name (library/Upper) must be lowercase',
    ],
    ['none', '/no/such', 'failed to get build context none: stat /no/such: no such file or directory'],
  ])('%s is refused', async (name, value, message) => {
    await using world = await makeBuildWorld()
    const context = await world.context('names', { Dockerfile: 'FROM scratch\n' })
    await expect(world.build(context, { buildContexts: { [name]: value } })).rejects.toMatchObject({ message })
  })
})
