import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  type CommandResult,
  describeWith,
  type Registry,
  runTool,
  startRegistry,
  type TemporaryDirectory,
  temporaryDirectory,
} from '@ts-oci/testing'
import { withCommand } from '../command-words.ts'
import { environmentOf, tsbuildPath, writeContext } from '../tsbuild.test.helper.ts'
import { asProgram } from './programs.ts'

let directory: TemporaryDirectory

beforeAll(async () => {
  directory = await temporaryDirectory()
  await mkdir(directory.join('bin'))
  for (const name of ['executor', 'buildah', 'podman']) await symlink(tsbuildPath, directory.join('bin', name))
})
afterAll(async () => {
  await directory?.[Symbol.asyncDispose]()
})

/** By its link, whatever name that has; from a directory that holds nothing of the build. */
async function call(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  return runTool(process.execPath, [directory.join('bin', program), ...args], {
    cwd: directory.path,
    env: { ...environmentOf(directory), ...env },
  })
}

const context = (files: Readonly<Record<string, string>>): Promise<string> => writeContext(directory, files)
const plain = { Dockerfile: 'FROM scratch\nCOPY note /note\n', note: 'here\n' }

describeWith(['docker-registry'], 'executor', () => {
  let registry: Registry

  beforeAll(async () => {
    registry = await startRegistry()
  })
  afterAll(() => registry?.stop())

  test('pushes to each destination and writes digest and names for the next job', async () => {
    const source = await context(plain)
    const names = [`${registry.host}/team/app:1`, `${registry.host}/team/app:latest`]
    const out = directory.join('new/out')
    const answer = await call('executor', [
      '--context',
      `dir://${source}`,
      '--dockerfile=Dockerfile',
      ...names.map((name) => `--destination=${name}`),
      `--digest-file=${out}/digest`,
      `--image-name-with-digest-file=${out}/names`,
      `--image-name-tag-with-digest-file=${out}/tags`,
    ])
    expect([answer.status, answer.status === 0 ? '' : answer.stderr]).toEqual([0, ''])
    const accept = 'application/vnd.oci.image.manifest.v1+json'
    const manifest = await fetch(`${registry.url}/v2/team/app/manifests/latest`, { headers: { accept } })
    const digest = manifest.headers.get('docker-content-digest')
    expect(await readFile(`${out}/digest`, 'utf8')).toBe(digest)
    // As kaniko's push.go writes them.
    const repository = `${registry.host}/team/app@${digest}\n`
    expect(await readFile(`${out}/names`, 'utf8')).toBe(repository + repository)
    expect(await readFile(`${out}/tags`, 'utf8')).toBe(names.map((name) => `${name}@${digest}\n`).join(''))
  })

  test('finds the credentials of $DOCKER_CONFIG', async () => {
    await using closed = await startRegistry({ auth: 'basic' }).then((started) => ({
      ...started,
      [Symbol.asyncDispose]: () => started.stop(),
    }))
    const { user, password } = closed.credentials!
    const auth = Buffer.from(`${user}:${password}`).toString('base64')
    await mkdir(directory.join('docker'), { recursive: true })
    await writeFile(directory.join('docker/config.json'), JSON.stringify({ auths: { [closed.host]: { auth } } }))
    const args = ['--context', await context(plain), '--destination', `${closed.host}/a:1`]
    expect((await call('executor', args)).status).toBe(1)
    expect((await call('executor', args, { DOCKER_CONFIG: directory.join('docker') })).status).toBe(0)
  })
})

describe('executor', () => {
  test('without a destination says what kaniko says, and fails with its status', async () => {
    const answer = await call('executor', ['--context', await context(plain)])
    expect(answer.status).toBe(1)
    expect(answer.stderr).toContain('you must provide --destination, or use --no-push')
  })

  test('writes an archive and pushes nothing where it is told so, by a flag or by the variable', async () => {
    const args = ['-c', await context(plain), '-d', 'registry.invalid/a:1', '--tar-path']
    expect((await call('executor', [...args, directory.join('a.tar'), '--no-push'])).status).toBe(0)
    expect((await call('executor', [...args, directory.join('b.tar')], { KANIKO_NO_PUSH: 'true' })).status).toBe(0)
    const manifests = await runTool('tar', ['-xOf', directory.join('b.tar'), 'manifest.json'])
    expect(JSON.parse(manifests.stdout)).toMatchObject([{ RepoTags: ['registry.invalid/a:1'] }])
  })

  test('takes /workspace where no context is named, and the Dockerfile that lies there', () => {
    const { words, calledAs } = asProgram('executor', ['--no-push'], {}, withCommand)
    expect([words, calledAs]).toEqual([['build', '--no-push'], 'executor'])
  })

  test('gives a token of the environment to the repository by its name alone', () => {
    const { words } = asProgram(
      'executor',
      ['--no-push', '-c', 'git://g.example/a'],
      { GIT_TOKEN: 'hunter2' },
      withCommand,
    )
    expect(words).toContain('--secret=id=GIT_AUTH_TOKEN,env=GIT_TOKEN')
    expect(words.join(' ')).not.toContain('hunter2')
  })

  test('has no word for what is no flag', async () => {
    const answer = await call('executor', ['frob'])
    expect([answer.status, answer.stderr]).toEqual([
      1,
      expect.stringContaining('unknown command "frob" for "executor"'),
    ])
  })
})

describe('buildah', () => {
  test('builds the Containerfile of the directory, tags it and shows it', async () => {
    const source = await context({ ...plain, Containerfile: 'FROM scratch\nLABEL from=containerfile\n' })
    expect((await call('buildah', ['--storage-driver', 'vfs', 'bud', '--layers', '-t', 'a', source])).status).toBe(0)
    expect((await call('buildah', ['tag', 'a', 'b'])).status).toBe(0)
    const label = await call('buildah', [
      'inspect',
      '--type',
      'image',
      '--format',
      '{{index .Config.Labels "from"}}',
      'b',
    ])
    expect(label.stdout).toBe('containerfile\n')
    expect((await call('buildah', ['images', '-q'])).stdout).toMatch(/^[0-9a-f]{12}\n/)
    expect((await call('buildah', ['rmi', 'b'])).status).toBe(0)
  })

  test('fails with 125, as the real one for an unknown flag, command or image', async () => {
    for (const args of [['bud', '--nosuch', '.'], ['nosuch'], ['inspect', 'nosuch'], ['rmi', 'nosuch']])
      expect([args, (await call('buildah', args)).status]).toEqual([args, 125])
  })

  test('has no working containers, and says what to use', async () => {
    const answer = await call('buildah', ['from', 'scratch'])
    expect([answer.status, answer.stderr]).toEqual([125, expect.stringContaining('write it into a Dockerfile')])
  })

  test('gives steps the proxies of the environment, unless it is told not to', () => {
    const words = (...argv: string[]) => asProgram('buildah', argv, {}, withCommand).words
    expect(words('bud', '.')).toEqual(['build', '.', '--http-proxy=true'])
    expect(words('bud', '--http-proxy=false', '.')).toEqual(['build', '--http-proxy=false', '.'])
  })

  test('takes format and isolation from its variables', () => {
    const env = { BUILDAH_FORMAT: 'docker', BUILDAH_ISOLATION: 'chroot' }
    expect(asProgram('buildah', ['build', '.'], env, withCommand).words).toEqual(
      expect.arrayContaining(['--format=docker', '--isolation=chroot']),
    )
  })
})

test('podman builds as buildah does', async () => {
  const source = await context({ Containerfile: 'FROM scratch\nLABEL a=b\n' })
  expect((await call('podman', ['build', '-t', 'p', source])).status).toBe(0)
  expect((await call('podman', ['image', 'inspect', 'nosuch'])).status).toBe(125)
})
