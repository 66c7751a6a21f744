import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { commandAs, describeWith, nodeFlags, publicPath, startStandIn, type StandIn } from '@ts-oci/testing'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import type { BuildOptions } from '../build/public-types.ts'

// A user in a default container: no capabilities, no account, no namespace to be had. The filter of the container is stood in
// for by a user namespace of the user's own that may have none below it.

const USER = 12_345
const script = fileURLToPath(new URL('build-process.test.helper.ts', import.meta.url))

const become = `exec setpriv --reuid=${USER} --regid=${USER} --clear-groups \
unshare -U --map-user=${USER} --map-group=${USER} --keep-caps \
sh -ec 'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$@"' sh "$@"`

/** Owners, modes, links, devices, a sparse file. */
function makeArchive(directory: string): Buffer {
  const lines = [
    'mkdir -p a/d && cd a && echo own > d/own && chown 123:456 d/own && ln d/own d/hard && ln -s own d/sym && chown -h 12:34 d/sym',
    'mknod d/null c 1 3 && mkfifo d/fifo && cp d/own d/suid && chmod 6755 d/suid && truncate -s 2M d/sparse && echo x >> d/sparse',
    'mkdir d/sticky && chmod 1777 d/sticky && tar -S --format=pax -cf ../a.tar d',
  ]
  execFileSync('sh', ['-ec', lines.join('\n')], { cwd: directory })
  return readFileSync(`${directory}/a.tar`)
}

const without = `FROM scratch AS archive
ADD a.tar /a/
FROM scratch AS checkout
ADD --keep-git-dir=false $GIT /
FROM $BASE
COPY --from=archive /a /a
COPY --from=archive --chown=7:8 --chmod=0751 /a/d/own /b/own
COPY --link data /linked/
COPY --from=checkout / /checkout
WORKDIR /w/x
USER 9:10
COPY data .
COPY <<EOF /here
text
EOF
`

describeWith([...buildNeeds, 'git', 'setpriv', 'unshare'], 'a user in a container that gives nothing', () => {
  let world: BuildWorld
  let git: StandIn
  beforeAll(async () => {
    world = await makeBuildWorld()
    await chmod(world.directory.path, 0o755)
    const archive = makeArchive(world.directory.path)
    await world.context('with', { Dockerfile: 'FROM $BASE\nCOPY data /\nRUN true\n', data: 'data\n' })
    const repository = await world.context('repository', { file: 'in git\n', 'sub/file': 'below\n' })
    const commit = 'git -c user.name=n -c user.email=e -c commit.gpgsign=false commit -q -m m'
    const bare = `git clone -q --bare . ../bare.git && git -C ../bare.git update-server-info`
    execFileSync('sh', ['-ec', `git init -q -b main && git add . && ${commit} && ${bare}`], { cwd: repository })
    git = await startStandIn((request, response) => {
      const file = join(world.directory.path, request.url!.split('?')[0]!)
      const isThere = statSync(file, { throwIfNoEntry: false })?.isFile() === true
      response.writeHead(isThere ? 200 : 404).end(isThere ? readFileSync(file) : '')
    })
    const url = `http://${git.host}/bare.git`
    await world.context('without', { Dockerfile: without.replace('$GIT', url), 'a.tar': archive, data: 'data\n' })
  })
  afterAll(async () => {
    await git?.stop()
    await world?.[Symbol.asyncDispose]()
  })

  async function build(who: 'root' | 'user', options: BuildOptions, env: NodeJS.ProcessEnv = {}): Promise<string> {
    const own = world.directory.join(who)
    mkdirSync(own, { recursive: true })
    if (who === 'user') execFileSync('chown', [`${USER}:${USER}`, own])
    const all: BuildOptions = { sourceDateEpoch: 1, ...options }
    const file = who === 'root' ? script : publicPath(world.directory, script)
    const words = [...nodeFlags, file, JSON.stringify(all)]
    const user = { uid: USER, gid: USER, directory: world.directory, become }
    const [program = '', ...args] = who === 'root' ? [process.execPath, ...words] : commandAs(user, words)
    const run = promisify(execFile)
    const { stdout } = await run(program, args, { env: { ...process.env, ...env } }).catch(
      (error: { readonly stdout: string }) => error,
    )
    return stdout.replace('begun\n', '').trim()
  }

  test('makes the image that root makes, byte for byte', async () => {
    const hashes: string[] = []
    for (const who of ['root', 'user'] as const) {
      const dest = world.directory.join(who, 'image.tar')
      const said = await build(who, {
        context: world.directory.join('without'),
        store: world.directory.join(who, 'store'),
        outputs: [{ type: 'oci', dest, 'rewrite-timestamp': 'true' }],
      })
      expect(said).toMatch(/^sha256:/)
      hashes.push(createHash('sha256').update(readFileSync(dest)).digest('hex'))
    }
    expect(hashes[1]).toBe(hashes[0])
  })

  test('is told of a RUN before a layer of its base is fetched', async () => {
    const before = world.registry.requests().length
    const store = world.directory.join('user', 'fresh')
    expect(await build('user', { context: world.directory.join('with'), store })).toMatch(
      /^OCI_RUNTIME_ISOLATION_UNAVAILABLE this machine cannot isolate a step: .*rootless: clone3: ENOSPC/,
    )
    const blobs = world.registry
      .requests()
      .slice(before)
      .filter((line) => line.startsWith('GET') && line.includes('/blobs/'))
    // The config.
    expect(blobs).toHaveLength(1)
  })

  test('who has neither an account nor a home is told to name a store', async () => {
    const env = { HOME: '', XDG_DATA_HOME: '', TSBUILD_HOME: '' }
    expect(await build('user', { context: world.directory.join('with') }, env)).toMatch(
      /^OCI_STORE_UNUSABLE there is no place for the store: HOME is not set, and user 12345 has no account/,
    )
  })
})
