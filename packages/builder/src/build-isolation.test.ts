import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, commandAs, describeWith, nodeFlags, publicPath, runTool } from '@ts-oci/testing'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.testing.ts'
import type { BuildOptions } from './public-types.ts'

const script = fileURLToPath(new URL('build-process.testing.ts', import.meta.url))

/** Users as tests of the runtime have them: `nobody` with ranges that only its mount namespace sees, an id that nobody has. */
const users = {
  root: { uid: 0, gid: 0 },
  'root in a user namespace': { uid: 0, gid: 0 },
  'a user with subordinate ids': { uid: 65_534, gid: 65_534 },
  'a user with a single id': { uid: 12_345, gid: 12_345 },
} as const
type Who = keyof typeof users

/** What layers can hold, without an owner other than root: a single id can make no other. */
const plain = `FROM $BASE AS other
RUN mkdir -p /o/deep && echo kept > /o/deep/file && touch -d @5 /o/deep/file /o/deep /o
FROM $BASE
COPY --chown=5:6 data /data
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
`

describeWith([...buildNeeds, 'setpriv', 'unshare'], 'isolations', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
    await chmod(world.directory.path, 0o755)
    await world.context('plain', { Dockerfile: plain, data: 'data\n' })
    await world.context('owned', { Dockerfile: owned, data: 'data\n' })
    await world.context('odd', {
      Dockerfile: 'FROM $BASE\nRUN chown 5:6 /tmp\n',
      'User.Dockerfile': 'FROM $BASE\nUSER nobody\nRUN true\n',
    })
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** Builds as that user; what the process said after it had begun. */
  async function buildAs(who: Who, context: string, more: BuildOptions = {}): Promise<string> {
    const { uid, gid } = users[who]
    const own = world.directory.join(`own-${uid}-${who.length}`)
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
    const words = [...nodeFlags, uid === 0 ? script : publicPath(world.directory, script), JSON.stringify(options)]
    const [program = '', ...args] =
      uid === 0
        ? [process.execPath, ...words]
        : commandAs({ uid, gid, directory: world.directory, hasSubordinateIds: uid === 65_534 }, words)
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await once(child, 'close')
    return said.replace('begun\n', '').trim()
  }

  test('every one makes the same image, byte for byte', async () => {
    const digests: string[] = []
    for (const who of Object.keys(users) as Who[]) digests.push(await buildAs(who, 'plain'))
    expect(digests[0]).toMatch(/^sha256:/)
    expect(new Set(digests)).toEqual(new Set([digests[0]]))
  })

  test('those with many ids do so with owners too', async () => {
    const who: readonly Who[] =
      (await runTool('newuidmap', []).catch(() => undefined)) === undefined
        ? ['root']
        : ['root', 'root in a user namespace', 'a user with subordinate ids']
    const digests: string[] = []
    for (const one of who) digests.push(await buildAs(one, 'owned'))
    expect(digests[0]).toMatch(/^sha256:/)
    expect(new Set(digests)).toEqual(new Set([digests[0]]))
  })

  test('the second build of each runs nothing and is the same', async () => {
    for (const who of ['root', 'a user with a single id'] as const) {
      const options: BuildOptions = { outputs: [{ type: 'image' }] }
      const first = await buildAs(who, 'plain', options)
      expect(await buildAs(who, 'plain', options)).toBe(first)
    }
  })

  test('what a single id cannot do is told with the remedy', async () => {
    expect(await buildAs('a user with a single id', 'odd')).toMatch(/^OCI_STEP_FAILED .*uidmap/)
    expect(
      await buildAs('a user with a single id', 'odd', { file: world.directory.join('odd/User.Dockerfile') }),
    ).toMatch(/^OCI_RUNTIME_ID_UNAVAILABLE .*uidmap/)
  })
})
