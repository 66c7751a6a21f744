import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  CONTAINER_ROOT,
  checkTool,
  commandAs,
  containerScript,
  describeWith,
  findTool,
  makeBusyboxBase,
  mountOverlayDisk,
  nodeFlags,
  type OverlayDisk,
  publicPath,
  type Requirement,
  type TemporaryDirectory,
  temporaryDirectory,
  testWith,
} from '@ts-oci/testing'
import { tsbuildPath } from './tsbuild.test.helper.ts'

/**
 * The short form of `npm run environments`, without a container engine: what each place can do is taken away by hand, and
 * the store lies where it does there. A place has the name that it has in scripts/environments/places.mjs.
 */
interface Place {
  readonly uid: number
  /** Where the store lies: on an overlay as a container's own disk, or on a disk of the host. */
  readonly disk: 'overlay' | 'host'
  /** What `info` and the build call it; null where no step can run. */
  readonly isolation: string | null
  readonly become?: (programs: Programs) => string
  readonly hasSubordinateIds?: true
  readonly needs?: readonly Requirement[]
}

interface Programs {
  readonly asContainer: string
}

const setpriv = findTool('setpriv') ?? 'setpriv'
const as1000 = `${setpriv} --reuid=1000 --regid=1000 --clear-groups`
const unconfined = containerScript({ ownIds: false })
/** After everything else of a place. */
const then = (place: string, words: string): string => `set -- ${words} "$@"\n${place}`
const filtered = ({ asContainer }: Programs, words = ''): string =>
  containerScript({ ownIds: false, become: `${asContainer} ${words}` })

const places: Readonly<Record<string, Place>> = {
  'host-root': { uid: 0, disk: 'host', isolation: 'namespace' },
  'host-subordinate': {
    uid: 65_534,
    disk: 'host',
    isolation: 'rootless',
    hasSubordinateIds: true,
    needs: ['newuidmap', 'newgidmap'],
  },
  'host-single': { uid: 12_345, disk: 'host', isolation: 'rootless' },
  'host-user-namespace': {
    uid: 12_345,
    disk: 'host',
    isolation: 'rootless',
    become: () => `exec ${setpriv} --reuid=12345 --regid=12345 --clear-groups unshare -r "$@"`,
  },
  'docker-privileged': { uid: 0, disk: 'overlay', isolation: 'namespace' },
  'docker-sys-admin': {
    uid: 0,
    disk: 'overlay',
    isolation: 'namespace',
    become: (programs) => filtered(programs, '--sys-admin'),
  },
  'docker-unconfined': { uid: 0, disk: 'overlay', isolation: 'rootless', become: () => unconfined },
  'docker-unconfined-1000': {
    uid: 1000,
    disk: 'overlay',
    isolation: 'rootless',
    become: () => then(unconfined, as1000),
  },
  'podman-uidmap': {
    uid: CONTAINER_ROOT,
    disk: 'overlay',
    isolation: 'rootless',
    become: () => containerScript({ ownIds: true }),
  },
  'podman-uidmap-privileged': {
    uid: CONTAINER_ROOT,
    disk: 'host',
    isolation: 'rootless',
    become: () => containerScript({ ownIds: true, become: `${setpriv} --pdeathsig KILL` }),
  },
  'docker-default': { uid: 0, disk: 'overlay', isolation: 'chroot', become: (programs) => filtered(programs) },
  'docker-default-1000': {
    uid: 1000,
    disk: 'overlay',
    isolation: null,
    become: (programs) => filtered(programs, as1000),
  },
  'docker-restricted': {
    uid: 1000,
    disk: 'overlay',
    isolation: null,
    become: (programs) => filtered(programs, `${as1000} --bounding-set=-all --no-new-privs`),
  },
  'docker-dropped': {
    uid: 0,
    disk: 'overlay',
    isolation: null,
    become: (programs) => filtered(programs, `${setpriv} --bounding-set=-all --inh-caps=-all`),
  },
}

/** A user, files given away, a change to that user by number and by name, what it may not read, a cache. */
const dockerfile = `FROM base
RUN echo app:x:1000:1000::/home/app:/bin/sh >> /etc/passwd && echo app:x:1000: >> /etc/group \\
 && mkdir -p /home/app && chown app:app /home/app && cp /bin/busybox /set-user-id && chown 7:8 /set-user-id && chmod 4750 /set-user-id && mkdir -p /gone/below
COPY --chown=app data /home/app/data
USER app
RUN --mount=type=cache,target=/cache,uid=1000 [ "$(id -u):$(id -g)" = 1000:1000 ] && echo mine > /home/app/mine && touch /cache/here
USER 0
RUN rm -r /gone && mkdir /gone && chown -R 9:10 /home/app/data && [ "$(stat -c %u:%g /home/app/mine /set-user-id | tr '\\n' ' ')" = "1000:1000 7:8 " ]
`
const withoutSteps = `FROM base\nCOPY --chown=5:6 data /data\n`

describeWith(['root', 'busybox', 'cc', 'unshare', 'setpriv', 'nsenter'], 'places', () => {
  let directory: TemporaryDirectory
  let overlay: OverlayDisk
  let programs: Programs
  const digests = new Map<string, unknown>()

  beforeAll(async () => {
    directory = await temporaryDirectory()
    overlay = await mountOverlayDisk()
    for (const path of [directory.path, overlay.path, overlay.path.replace(/\/mnt$/, '')]) await chmod(path, 0o755)
    programs = { asContainer: directory.join('as-container') }
    const source = fileURLToPath(new URL('../../runtime/src/testing/as-container.c', import.meta.url))
    await checkTool('cc', ['-static', '-O1', '-o', programs.asContainer, source])
    await makeBusyboxBase(directory.join('layout'))
    for (const [name, text] of Object.entries({ steps: dockerfile, plain: withoutSteps })) {
      await mkdir(directory.join(name))
      await writeFile(directory.join(name, 'Dockerfile'), text)
      await writeFile(directory.join(name, 'data'), 'data\n')
    }
    await checkTool('chmod', ['-R', 'a+rX', directory.join('layout')])
  })
  afterAll(async () => {
    await overlay?.[Symbol.asyncDispose]()
    await directory?.[Symbol.asyncDispose]()
  })

  /** Runs the compiled command in a place, in a directory of its own there. */
  async function tsbuildIn(name: string, words: readonly string[], more: Readonly<Record<string, string>> = {}) {
    const { uid, disk, become, hasSubordinateIds } = places[name]!
    const own = disk === 'overlay' ? `${overlay.path}/${name}` : directory.join(name)
    await mkdir(own, { recursive: true })
    await checkTool('chown', [`${uid}:${uid}`, own])
    const user = { uid, gid: uid, directory, ...(hasSubordinateIds ? { hasSubordinateIds } : {}) }
    const there = become === undefined ? user : { ...user, become: become(programs) }
    const [program = '', ...args] = commandAs(there, [...nodeFlags, publicPath(directory, tsbuildPath), ...words])
    const env = { PATH: process.env['PATH'], HOME: own, TSBUILD_HOME: `${own}/store`, SOURCE_DATE_EPOCH: '1', ...more }
    const child = spawn(program, args, { cwd: own, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const said = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream].setEncoding('utf8').on('data', (text: string) => (said[stream] += text))
    const [status] = (await once(child, 'close')) as [number | null]
    return { status, ...said, own }
  }

  async function buildIn(name: string, context: string) {
    const base = `base=oci-layout://${directory.join('layout')}`
    const written = ['-o', 'type=oci,dest=image.tar,rewrite-timestamp=true', '--metadata-file', 'metadata.json']
    return await tsbuildIn(name, ['build', '--build-context', base, ...written, directory.join(context)])
  }

  function digestOf(own: string): unknown {
    const metadata = JSON.parse(readFileSync(`${own}/metadata.json`, 'utf8')) as Record<string, unknown>
    return metadata['containerimage.digest']
  }

  for (const [name, { isolation, needs = [] }] of Object.entries(places)) {
    testWith(needs, `${name}: info says ${isolation ?? 'that no step can run'}, and so it is`, async () => {
      const told = await tsbuildIn(name, ['info', '--format', 'json'])
      expect([told.status, told.stderr]).toEqual([0, ''])
      const report = JSON.parse(told.stdout) as {
        isolation: string | null
        isolations: { mode: string; isUsable: boolean; hint: string | null }[]
      }
      expect(report.isolation).toBe(isolation)
      // Whatever does not work is told with what helps.
      expect(report.isolations.filter(({ isUsable, hint }) => !isUsable && hint === null)).toEqual([])
      const { status, stderr, own } = await buildIn(name, 'steps')
      if (isolation !== null) {
        expect([status, status === 0 ? '' : stderr]).toEqual([0, ''])
        digests.set(name, digestOf(own))
        return
      }
      expect([status, stderr]).toEqual([1, expect.stringContaining('code: OCI_RUNTIME_ISOLATION_UNAVAILABLE')])
      const plain = await buildIn(name, 'plain')
      expect([plain.status, plain.status === 0 ? '' : plain.stderr]).toEqual([0, ''])
    })
  }

  test('docker-dropped: info names for each isolation all that it takes, and a build the least that gives steps', async () => {
    const container = { container: 'docker' }
    const { stdout } = await tsbuildIn('docker-dropped', ['info', '--format', 'json'], container)
    const { isolations } = JSON.parse(stdout) as { isolations: { mode: string; hint: string }[] }
    expect(Object.fromEntries(isolations.map(({ mode, hint }) => [mode, hint]))).toEqual({
      namespace: expect.stringMatching(/--cap-add SYS_ADMIN .*, without --cap-drop$/),
      rootless: expect.stringMatching(/--security-opt seccomp=unconfined .*, without --cap-drop$/),
      chroot: 'start the container without --cap-drop',
    })
    const base = `base=oci-layout://${directory.join('layout')}`
    const built = await tsbuildIn(
      'docker-dropped',
      ['build', '--build-context', base, directory.join('steps')],
      container,
    )
    expect(built.stderr).toMatch(/^ {2}hint: start the container without --cap-drop$/m)
  })

  test('all of them make the same image', () => {
    expect(digests.size).toBeGreaterThan(1)
    expect(new Set(digests.values()).size).toBe(1)
    expect([...digests.values()][0]).toMatch(/^sha256:/)
  })
})
