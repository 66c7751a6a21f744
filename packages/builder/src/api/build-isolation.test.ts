import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  CONTAINER_ROOT,
  checkTool,
  commandAs,
  containerScript,
  describeWith,
  nodeFlags,
  publicPath,
  runTool,
} from '@ts-oci/testing'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import type { BuildOptions } from '../build/public-types.ts'

const script = fileURLToPath(new URL('build-process.test.helper.ts', import.meta.url))

/** Users as tests of the runtime have them: `nobody` with ranges that only its mount namespace sees, an id that nobody has. */
const users = {
  root: { uid: 0, gid: 0 },
  'root in a user namespace': { uid: 0, gid: 0 },
  'root of a container': { uid: 0, gid: 0 },
  'root of a container with ids of its own': { uid: CONTAINER_ROOT, gid: CONTAINER_ROOT },
  'a user with subordinate ids': { uid: 65_534, gid: 65_534 },
  'a user with a single id': { uid: 12_345, gid: 12_345 },
} as const
type Who = keyof typeof users

/** Those that need no program that a machine may lack. */
const everywhere: readonly Who[] = [
  'root',
  'root in a user namespace',
  'root of a container',
  'root of a container with ids of its own',
  'a user with a single id',
]

/** What layers can hold, without an owner other than root. */
const plain = `FROM $BASE AS other
RUN mkdir -p /o/deep && echo kept > /o/deep/file && touch -d @5 /o/deep/file /o/deep /o
FROM $BASE
COPY --chown=5:6 data /data
COPY noise /noise
RUN cp /bin/busybox /bin/again && chmod 4755 /bin/again && ln /bin/again /bin/hard && ln -s /data /link && mkfifo /pipe
RUN mkdir -p /d/e/f && echo x > /d/e/f/g && chmod 000 /d/e/f && chmod 1777 /d
RUN rm -rf /d/e && mkdir /d/e && echo new > /d/e/h && rm /bin/hard && cat /etc/passwd > /tmp/p && cat /tmp/p > /etc/passwd
COPY --from=other /o /o
RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=type=bind,from=other,source=/o,target=/m touch /c/x /t/x && cat /m/deep/file > /m2
RUN echo appended >> /data && mv /tmp/p /moved
`

/** With owners and what goes by them. */
const owned = `FROM $BASE
RUN echo app:x:1000:1000::/home/app:/bin/sh >> /etc/passwd && mkdir -p /home/app && chown 1000:1000 /home/app
USER app
RUN echo mine > /home/app/file && id -u > /home/app/id
USER root
COPY --chown=app data /home/app/data
RUN chown -R 7:8 /home/app/data && chown 60000:60000 /tmp
RUN ln -s data /home/app/link && mkfifo /home/app/pipe && chown -h 1000:9 /home/app/link /home/app/pipe && mkdir /group && chown :77 /group && chmod 2775 /group
RUN touch /group/file && mkdir /group/inner && touch /group/inner/file && mv /home/app/link /home/app/moved && mv /home/app/pipe /home/app/moved-pipe
RUN cp -a /home/app /copy && ln /home/app/file /home/app/hard && touch /home/app/hard && chown 0:0 /tmp && chown 5 /home/app/data && chmod 4755 /home/app/id && chown app /home/app/id
RUN mknod /null c 1 3 && mknod -m 600 /disk b 7 300 && ln /disk /disk2 && mv /null /moved-null
USER 1000:77
RUN ! mknod /home/app/no c 1 3 2>/dev/null && umask 027 && mkdir -p /home/app/a/b && ln -s b /home/app/a/l && mkfifo /home/app/a/p && echo > /home/app/a/f && (umask 0; echo > /home/app/a/g) && rm /home/app/file
`

describeWith([...buildNeeds, 'setpriv', 'unshare', 'nsenter'], 'isolations', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
    await chmod(world.directory.path, 0o755)
    // Larger than a block of the compressor, and nothing that it finds easy.
    const noise = createHash('sha256').update('noise').digest('hex').repeat(80_000)
    await world.context('plain', { Dockerfile: plain, data: 'data\n', noise })
    await world.context('owned', { Dockerfile: owned, data: 'data\n' })
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  function directoryOf(who: Who): string {
    return world.directory.join(who.replaceAll(' ', '-'))
  }

  /** Builds as that user; what the process said after it had begun. */
  async function buildAs(
    who: Who,
    context: string,
    more: BuildOptions = {},
    env: NodeJS.ProcessEnv = {},
  ): Promise<string> {
    const { uid, gid } = users[who]
    const own = directoryOf(who)
    await mkdir(own, { recursive: true })
    await checkTool('chown', [`${uid}:${gid}`, own])
    const options: BuildOptions = {
      context: world.directory.join(context),
      store: `${own}/store`,
      sourceDateEpoch: 1,
      outputs: [{ type: 'oci', dest: `${own}/image.tar`, 'rewrite-timestamp': 'true' }],
      ...(who === 'root in a user namespace' ? { isolation: 'rootless' } : {}),
      ...more,
    }
    const isContainer = who.startsWith('root of a container')
    const become = isContainer ? { become: containerScript({ ownIds: uid !== 0 }) } : {}
    const isHere = uid === 0 && !isContainer
    const words = [...nodeFlags, isHere ? script : publicPath(world.directory, script), JSON.stringify(options)]
    const [program = '', ...args] = isHere
      ? [process.execPath, ...words]
      : commandAs({ uid, gid, directory: world.directory, hasSubordinateIds: uid === 65_534, ...become }, words)
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } })
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await once(child, 'close')
    return said.replace('begun\n', '').trim()
  }

  test('every one makes the same archive, byte for byte, and leaves nothing behind', async () => {
    const archives: string[] = []
    for (const who of Object.keys(users) as Who[]) {
      expect(await buildAs(who, 'plain')).toMatch(/^sha256:/)
      archives.push(hashOf(join(directoryOf(who), 'image.tar')))
      expect(readdirSync(join(directoryOf(who), 'store/tmp'))).toEqual([])
    }
    expect(new Set(archives)).toEqual(new Set([archives[0]]))
  })

  test('so do any number of threads and of steps at once, in another store', async () => {
    const archives: string[] = []
    for (const [threads, jobs] of [
      [1, 1],
      [7, 8],
    ] as const) {
      const dest = world.directory.join(`threads-${threads}.tar`)
      await buildAs(
        'root',
        'plain',
        {
          store: world.directory.join(`store-${threads}`),
          jobs,
          outputs: [{ type: 'oci', dest, 'rewrite-timestamp': 'true' }],
        },
        { UV_THREADPOOL_SIZE: String(threads) },
      )
      archives.push(hashOf(dest))
    }
    archives.push(hashOf(join(directoryOf('root'), 'image.tar')))
    expect(new Set(archives).size).toBe(1)
  })

  function hashOf(path: string): string {
    return createHash('sha256').update(readFileSync(path)).digest('hex')
  }

  test('every one does so with owners too, whatever ids it has', async () => {
    await expectOneDigest('owned')
  })

  async function expectOneDigest(context: string): Promise<void> {
    const who: readonly Who[] =
      (await runTool('newuidmap', []).catch(() => undefined)) === undefined
        ? everywhere
        : [...everywhere, 'a user with subordinate ids']
    const digests: Record<string, string> = {}
    for (const one of who) digests[one] = await buildAs(one, context)
    expect(digests['root']).toMatch(/^sha256:/)
    expect(digests).toEqual(Object.fromEntries(who.map((one) => [one, digests['root']])))
  }

  test('devices of a base are there for every one, to be changed, moved, linked and removed', async () => {
    const lines =
      'mkdir d; for n in null gone kept; do mknod d/$n c 1 3; done; mknod -m 600 d/disk b 7 300; ln d/disk d/hard'
    const directory = world.directory.join('devices')
    await mkdir(directory)
    await checkTool('sh', ['-ec', `cd ${directory}; ${lines}; chown 5:6 d/gone d/kept; tar -cf ../devices.tar d`])
    await world.context('devices-of-a-base', {
      Dockerfile: `FROM $BASE
ADD devices.tar /
RUN cd /d && mv null moved && rm gone && chown 3:4 hard && chmod 640 disk && ln kept linked
RUN cd /d && mv linked again && touch -d @5 disk
`,
      'devices.tar': readFileSync(world.directory.join('devices.tar')),
    })
    await expectOneDigest('devices-of-a-base')
  })

  test('the second build of each runs nothing and is the same', async () => {
    for (const who of ['root', 'root in a user namespace', 'a user with a single id'] as const) {
      const options: BuildOptions = { outputs: [{ type: 'image' }] }
      const first = await buildAs(who, 'plain', options)
      expect(await buildAs(who, 'plain', options)).toBe(first)
    }
  })

  test('kinds that share a store have trees and caches of their own: none empties what another has mounted', async () => {
    const cache = '--mount=type=cache,id=meeting,target=/meeting'
    await world.context('waits', {
      Dockerfile: `FROM $BASE\nRUN ${cache} touch /meeting/there; for i in $(seq 300); do [ -e /meeting/other ] && break; usleep 100000; done; [ -e /meeting/other ] && ls /bin | grep .\n`,
    })
    await world.context('comes', {
      Dockerfile: `FROM $BASE\nRUN ${cache} touch /meeting/new && [ ! -e /meeting/there ]\n`,
    })
    const store = world.directory.join('shared-store')
    const first = buildAs('root', 'waits', { store, outputs: [] })
    const there = (): string | undefined => globSync(`${store}/cache-mounts/*/there`)[0]
    for (let tries = 0; tries < 200 && there() === undefined; tries++) await delay(50)
    expect(await buildAs('root in a user namespace', 'comes', { store, outputs: [] })).toMatch(/^sha256:/)
    writeFileSync(there()!.replace(/there$/, 'other'), '')
    expect(await first).toMatch(/^sha256:/)
  })

  test('each isolation of root goes on from what another left of a build that failed', async () => {
    const steps = 'FROM $BASE\nCOPY --chown=5:6 data /data\nRUN chown 7:8 /bin && echo made > /made\n'
    await world.context('fails', { Dockerfile: `${steps}RUN [ -e /nowhere ]\n`, data: 'data\n' })
    await world.context('goes-on', {
      Dockerfile: `${steps}RUN [ "$(stat -c %u:%g /data /bin /made | xargs)" = "5:6 7:8 0:0" ] && cat /data /made > /both\n`,
      data: 'data\n',
    })
    const digests: string[] = []
    for (const [from, to] of [
      ['rootless', 'chroot'],
      ['chroot', 'rootless'],
      ['rootless', 'namespace'],
    ] as const) {
      const store = world.directory.join(`from-${from}-to-${to}`)
      expect(await buildAs('root', 'fails', { store, isolation: from })).toMatch(/^OCI_STEP_FAILED/)
      digests.push(await buildAs('root', 'goes-on', { store, isolation: to }))
    }
    expect(digests[0]).toMatch(/^sha256:/)
    expect(new Set(digests)).toEqual(new Set([digests[0]]))
  })

  test('a store whose files were all given to one user, or group, is built on as if it had no trees', async () => {
    const cache = '--mount=type=cache,target=/cache'
    await world.context('given', {
      Dockerfile: `FROM $BASE\nRUN ${cache} mkdir /own && chown 7:8 /own && touch /own/x && chown 9:10 /own/x && touch /cache/x && chown 5:5 /cache/x\n`,
    })
    await world.context('given-on', {
      Dockerfile: `FROM $BASE
RUN ${cache} mkdir /own && chown 7:8 /own && touch /own/x && chown 9:10 /own/x && touch /cache/x && chown 5:5 /cache/x
RUN ${cache} [ "$(stat -c %u:%g /own /own/x /bin /bin/busybox | xargs)" = "7:8 9:10 0:0 0:0" ] && cp -a /own /copy && touch /cache/y\n`,
    })
    const expected = await buildAs('root', 'given-on', { store: world.directory.join('not-given') })
    // A pod's `fsGroup`, podman's `:U`.
    const cases: readonly (readonly [Who, string])[] = [
      ['root', ':1000'],
      ['root of a container', '0:0'],
      ['root of a container with ids of its own', `${CONTAINER_ROOT}:${CONTAINER_ROOT}`],
    ]
    for (const [who, owner] of cases) {
      const store = `${directoryOf(who)}/given`
      await buildAs(who, 'given', { store, outputs: [] })
      const changed = globSync([`${store}/snapshots/*`, `${store}/cache-mounts/*`])
      expect(changed.length).toBeGreaterThan(2)
      await checkTool('chown', ['-hR', owner, ...changed])
      expect([who, await buildAs(who, 'given-on', { store })]).toEqual([who, expected])
    }
  })

  test('a context with files that the user may not read', async () => {
    const context = await world.context('unreadable', {
      Dockerfile: 'FROM $BASE\nCOPY . /\n',
      'Other.Dockerfile': 'FROM $BASE\nCOPY d/open /\n',
      'd/open': 'x\n',
      'd/closed': 'x\n',
    })
    await chmod(join(context, 'd/closed'), 0o600)
    expect(await buildAs('a user with a single id', 'unreadable')).toMatch(
      /^OCI_CONTEXT_INVALID .*"d\/closed".*permission denied.*\.dockerignore/,
    )
    // What nobody takes need not be readable.
    expect(await buildAs('a user with a single id', 'unreadable', { file: join(context, 'Other.Dockerfile') })).toMatch(
      /^sha256:/,
    )
  })
})
