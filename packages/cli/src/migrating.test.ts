import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  checkTool,
  describeWith,
  type Registry,
  runTool,
  startRegistry,
  type TemporaryDirectory,
  temporaryDirectory,
} from '@ts-oci/testing'
import { checkout, diffOf, image, type Pipelines, readPipeline } from './pipeline-files.test.helper.ts'
import { environmentOf, tsbuildPath, writeContext } from './tsbuild.test.helper.ts'

const folder = `${checkout}fixtures/migrating`
const read = <Kind extends keyof Pipelines>(name: string): Promise<Pipelines[Kind]> =>
  readPipeline<Kind>(`fixtures/migrating/${name}.yml`)
const names = (await readdir(folder)).filter((name) => name.endsWith('.before.yml')).map((name) => name.slice(0, -11))
const textOf = (name: string): Promise<string> => readFile(`${folder}/${name}.yml`, 'utf8')

describe('docs/migrating.md', () => {
  test.each(names)('has %s before and after as their files have it', async (name) => {
    const page = await readFile(`${checkout}docs/migrating.md`, 'utf8')
    expect(page).toContain(`\`\`\`diff\n${diffOf(await textOf(`${name}.before`), await textOf(name))}\`\`\`\n`)
  })

  test.each(names)('%s: its image is that of this version, and nothing of the tool that was left', async (name) => {
    const text = await textOf(name)
    expect(text.split('\n').filter((line) => line.includes(image))).toHaveLength(1)
    expect(text).not.toMatch(/privileged|docker\.sock|dind|gcr\.io|quay\.io/)
  })

  test.each(['gitlab-kaniko', 'kubernetes-kaniko', 'tekton-kaniko'])('%s changes one word', async (name) => {
    const lines = diffOf(await textOf(`${name}.before`), await textOf(name)).split('\n')
    expect(lines.filter((line) => /^[-+]/.test(line)).map((line) => line.replace(/\S+$/, '…'))).toEqual([
      expect.stringMatching(/^- +(?:image|name): …$/),
      expect.stringMatching(/^\+ +(?:image|name): …$/),
    ])
  })
})

/** What a job of each system has around it is set as that system documents it; the registry asks for a password. */
describeWith(['docker-registry'], 'a pipeline of another builder, with our image', () => {
  let directory: TemporaryDirectory
  let registry: Registry
  let source: string
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry({ auth: 'basic' })
    // No step: what steps take in each place is the matter of other tests.
    source = await writeContext(directory, {
      Dockerfile: 'FROM scratch\nARG VERSION\nCOPY note /note\n',
      note: 'here\n',
    })
    await mkdir(directory.join('bin'))
    // As the image has them: a link each.
    for (const name of ['tsbuild', 'docker', 'buildah', 'podman', 'executor'])
      await symlink(tsbuildPath, directory.join('bin', name))
    await symlink(process.execPath, directory.join('bin/node'))
    env = { ...environmentOf(directory), PATH: `${directory.join('bin')}:${process.env['PATH']}` }
  })
  afterAll(async () => {
    await registry?.stop()
    await directory?.[Symbol.asyncDispose]()
  })

  const user = (): string => registry.credentials?.user ?? ''
  const password = (): string => registry.credentials?.password ?? ''
  const basic = (): string => Buffer.from(`${user()}:${password()}`).toString('base64')

  /** The one directory of a job: its home, and what kaniko's image has as /kaniko. */
  async function placeOf(name: string): Promise<string> {
    const place = directory.join(name)
    await mkdir(place)
    await symlink(directory.join('bin'), `${place}/kaniko`)
    return place
  }

  /** Paths of a job's container, where this machine has them. */
  const here = (text: string, place: string): string =>
    text
      .replaceAll(/(?<![\w.-])\/(kaniko|workspace|login|tmp)\b/g, (_, name: string) =>
        name === 'workspace' ? source : name === 'tmp' ? place : `${place}/${name}`,
      )
      .replaceAll('ghcr.io', registry.host)
      .replaceAll('registry.example.com/team', `${registry.host}/team`)

  async function shell(script: string, place: string, own: NodeJS.ProcessEnv): Promise<void> {
    const around = { HOME: place, DOCKER_CONFIG: undefined, TSBUILD_HOME: `${place}/store` }
    await checkTool('sh', ['-ec', script], { cwd: source, env: { ...env, ...around, ...own } })
  }

  async function digestOf(path: string, accept = ociTypes): Promise<string | null> {
    const [name, reference] = path.split(':')
    const headers = { accept, authorization: `Basic ${basic()}` }
    const answer = await fetch(`${registry.url}/v2/${name}/manifests/${reference}`, { headers })
    expect([path, answer.status]).toEqual([path, 200])
    return answer.headers.get('docker-content-digest')
  }

  const ociTypes = 'application/vnd.oci.image.manifest.v1+json'
  const dockerTypes = 'application/vnd.docker.distribution.manifest.v2+json'
  const gitlab: readonly (readonly [string, string])[] = [
    ['gitlab-docker', ociTypes],
    ['gitlab-kaniko', ociTypes],
    ['gitlab-buildah', dockerTypes],
  ]
  test.each(gitlab)('%s: the lines of the script log in and push', async (name, types) => {
    const place = await placeOf(name)
    const { build } = await read<'gitlab'>(name)
    await shell(here(build.script.join('\n'), place), place, {
      ...build.variables,
      // Where kaniko's own image looks; ours does too, but there is one /kaniko on this machine.
      ...(name === 'gitlab-kaniko' ? { DOCKER_CONFIG: `${place}/kaniko/.docker` } : {}),
      CI_REGISTRY: registry.host,
      CI_REGISTRY_USER: user(),
      CI_REGISTRY_PASSWORD: password(),
      CI_REGISTRY_IMAGE: `${registry.host}/group/${name}`,
      CI_COMMIT_SHORT_SHA: '1234abcd',
      CI_PROJECT_DIR: source,
    })
    const digest = await digestOf(`group/${name}:1234abcd`, types)
    if (name === 'gitlab-kaniko') expect(await readFile(`${source}/digest.txt`, 'utf8')).toBe(digest)
  })

  const github: readonly (readonly [string, string, string])[] = [
    ['github-docker', 'team/app-1:c0ffee', ociTypes],
    ['github-buildx', 'team/app:c0ffee', ociTypes],
    ['github-buildah', 'team/app-1:c0ffee', dockerTypes],
  ]
  test.each(github)('%s: the steps log in and push', async (name, path, types) => {
    const place = await placeOf(name)
    const { steps } = (await read<'github'>(name)).jobs.build
    for (const { run, env: own = {} } of steps) {
      if (run === undefined) continue
      const filled = Object.entries(own).map(([key, value]) => [key, value.replace('${{ github.token }}', password())])
      await shell(here(run, place), place, {
        ...(Object.fromEntries(filled) as NodeJS.ProcessEnv),
        GITHUB_ACTOR: user(),
        GITHUB_REPOSITORY: 'Team/App-1',
        GITHUB_SHA: 'c0ffee',
        GITHUB_REF_NAME: 'v1',
      })
    }
    await digestOf(path, types)
  })

  test.each(['kubernetes-docker', 'kubernetes-kaniko', 'kubernetes-buildah'])(
    '%s: the container builds and pushes',
    async (name) => {
      const place = await placeOf(name)
      const [container] = (await read<'kubernetes'>(name)).spec.template.spec.containers
      await mkdir(`${place}/login`)
      await writeFile(`${place}/login/config.json`, JSON.stringify({ auths: { [registry.host]: { auth: basic() } } }))
      const variables = Object.fromEntries((container?.env ?? []).map((one) => [one.name, here(one.value, place)]))
      if (name === 'kubernetes-kaniko') variables['DOCKER_CONFIG'] = `${place}/login`
      const own = { ...env, HOME: place, TSBUILD_HOME: `${place}/store`, ...variables }
      // Arguments alone go to the entrypoint of the image.
      const [program, ...words] = [...(container?.command ?? ['tsbuild']), ...(container?.args ?? [])]
      const answer = await runTool(
        program!,
        words.map((word) => here(word, place)),
        { env: own },
      )
      expect([answer.status, answer.status === 0 ? '' : answer.stderr]).toEqual([0, ''])
      const digest = await digestOf('team/app:1')
      if (name === 'kubernetes-kaniko')
        expect(await readFile(`${source}/image.txt`, 'utf8')).toBe(`${registry.host}/team/app:1@${digest}\n`)
    },
  )

  test.each(['tekton-kaniko', 'tekton-buildah'])(
    '%s: the step pushes and gives the digest as a result',
    async (name) => {
      const place = await placeOf(name)
      await mkdir(`${place}/login`)
      await writeFile(`${place}/login/config.json`, JSON.stringify({ auths: { [registry.host]: { auth: basic() } } }))
      const [step] = (await read<'tekton'>(name)).spec.steps
      const values: Readonly<Record<string, string>> = {
        'workspaces.source.path': source,
        'workspaces.dockerconfig.path': `${place}/login`,
        'params.IMAGE': `${registry.host}/${name}/app:1`,
        'params.DOCKERFILE': './Dockerfile',
        'params.CONTEXT': '.',
        'params.STORAGE_DRIVER': 'vfs',
        'params.TLSVERIFY': 'true',
        'params.FORMAT': 'oci',
        'results.IMAGE_DIGEST.path': `${place}/digest`,
      }
      const fill = (text: string): string =>
        text.replaceAll(/\$\(([\w.]+)\)/g, (all, key: string) => values[key] ?? all)
      const args = (step?.args ?? []).filter((word) => !word.includes('EXTRA_ARGS')).map(fill)
      const script = step?.script === undefined ? `tsbuild ${args.join(' ')}` : fill(here(step.script, place))
      await shell(script, place, { DOCKER_CONFIG: `${place}/login` })
      expect(await readFile(`${place}/digest`, 'utf8')).toBe(await digestOf(`${name}/app:1`))
    },
  )

  test('a store that is carried without what only its machine can use has the cache', async () => {
    const [from, to] = [directory.join('carried-from'), directory.join('carried-to')]
    const build = (store: string) =>
      runTool('tsbuild', ['--progress', 'plain', source], { env: { ...env, TSBUILD_HOME: store } })
    expect((await build(from)).status).toBe(0)
    await mkdir(to, { mode: 0o700 })
    const left = ['snapshots', 'image', 'tmp', 'run', 'cache-mounts'].map((name) => `--exclude=./${name}`)
    await checkTool('sh', ['-c', 'tar -C "$1" $3 -cf - . | tar -C "$2" -xf -', 'sh', from, to, left.join(' ')])
    expect((await build(to)).stderr).toMatch(/COPY note \/note\n#\d+ CACHED/)
  })
})
