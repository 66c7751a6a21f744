import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  checkTool,
  describeWith,
  type Registry,
  runTool,
  startRegistry,
  type TemporaryDirectory,
  temporaryDirectory,
} from '@ts-oci/testing'
import { checkout, image, type Pipelines, readPipeline } from './pipeline-files.test.helper.ts'
import { environmentOf, tsbuildPath, writeContext } from './tsbuild.test.helper.ts'

const folder = `${checkout}fixtures/ci`

function read<Kind extends keyof Pipelines>(name: string): Promise<Pipelines[Kind]> {
  return readPipeline<Kind>(`fixtures/ci/${name}.yml`)
}

test('docs/ci.md has every pipeline as its file has it', async () => {
  const text = await readFile(`${checkout}docs/ci.md`, 'utf8')
  const names = await readdir(folder)
  expect(names.length).toBeGreaterThan(0)
  for (const name of names) expect(text).toContain(`\`\`\`yaml\n${await readFile(`${folder}/${name}`, 'utf8')}\`\`\`\n`)
})

test('every pipeline names the image of this version', async () => {
  const { version } = JSON.parse(await readFile(`${checkout}packages/cli/package.json`, 'utf8')) as { version: string }
  const containers = [
    (await read<'gitlab'>('gitlab')).build.image.name,
    (await read<'github'>('github-container')).jobs.build.container,
    (await read<'kubernetes'>('kubernetes-job')).spec.template.spec.containers[0]?.image,
    (await read<'kubernetes'>('kubernetes-restricted')).spec.template.spec.containers[0]?.image,
    (await read<'tekton'>('tekton-task')).spec.steps[0]?.image,
  ]
  expect(image).toMatch(new RegExp(`:${version}$`))
  expect(new Set(containers)).toEqual(new Set([image]))
})

/** What a job of each system has around it is set as that system documents it; the registry asks for a password. */
describeWith(['docker-registry'], 'pipelines', () => {
  let directory: TemporaryDirectory
  let registry: Registry
  let source: string
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry({ auth: 'basic' })
    // No step: what steps take in each place is the matter of other tests.
    source = await writeContext(directory, { Dockerfile: 'FROM scratch\nCOPY note /note\n', note: 'here\n' })
    await mkdir(directory.join('bin'))
    const start = `#!/bin/sh\nexec "${process.execPath}" "${tsbuildPath}" "$@"\n`
    await writeFile(directory.join('bin/tsbuild'), start, { mode: 0o755 })
    // Becomes nobody else.
    await writeFile(directory.join('bin/sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
    env = { ...environmentOf(directory), PATH: `${directory.join('bin')}:${process.env['PATH']}` }
  })
  afterAll(async () => {
    await registry?.stop()
    await directory?.[Symbol.asyncDispose]()
  })

  const password = (): string => registry.credentials?.password ?? ''
  const user = (): string => registry.credentials?.user ?? ''
  const login = (): string => {
    const auth = Buffer.from(`${user()}:${password()}`).toString('base64')
    return JSON.stringify({ auths: { [registry.host]: { auth } } })
  }

  async function home(name: string): Promise<string> {
    const path = directory.join(`home-${name}`)
    await mkdir(path)
    return path
  }

  /** As runners do: one shell for all lines, which ends at the first that fails. */
  async function shell(script: string, own: NodeJS.ProcessEnv): Promise<void> {
    await checkTool('sh', ['-ec', script], { cwd: source, env: { ...env, ...own } })
  }

  /** What the registry has under that name, as its own manifest says. */
  async function pushed(path: string): Promise<{ readonly digest: string | null; readonly status: number }> {
    const [name, reference] = path.split(':')
    const accept = 'application/vnd.oci.image.manifest.v1+json'
    const authorization = `Basic ${Buffer.from(`${user()}:${password()}`).toString('base64')}`
    const answer = await fetch(`${registry.url}/v2/${name}/manifests/${reference}`, {
      headers: { accept, authorization },
    })
    return { status: answer.status, digest: answer.headers.get('docker-content-digest') }
  }

  test('of GitLab: the lines of the script log in and push', async () => {
    const { build } = await read<'gitlab'>('gitlab')
    await shell(build.script.join('\n'), {
      HOME: await home('gitlab'),
      CI_REGISTRY: registry.host,
      CI_REGISTRY_USER: user(),
      CI_REGISTRY_PASSWORD: password(),
      CI_REGISTRY_IMAGE: `${registry.host}/group/app`,
      CI_COMMIT_SHORT_SHA: '1234abcd',
    })
    expect((await pushed('group/app:1234abcd')).status).toBe(200)
  })

  for (const name of ['github-container', 'github-runner'])
    test(`of GitHub, ${name}: the steps log in and push, in small letters`, async () => {
      const { steps } = (await read<'github'>(name)).jobs.build
      const around = {
        HOME: await home(name),
        RUNNER_TEMP: directory.join(`home-${name}`),
        GITHUB_ACTOR: user(),
        GITHUB_REPOSITORY: `Team/App-${name}`,
        GITHUB_SHA: 'c0ffee',
      }
      const run = steps.filter(({ run: script }) => script !== undefined && !script.startsWith('npm install'))
      expect(run).toHaveLength(2)
      for (const { run: script = '', env: own } of run) {
        const values = Object.entries({ ...own, TSBUILD_HOME: directory.join('store') })
        const filled = values.map(([key, value]) => [key, value.replace('${{ github.token }}', password())])
        const here = script.replaceAll('ghcr.io', registry.host).replace('/var/tmp/tsbuild', directory.join('store'))
        await shell(here, { ...around, ...(Object.fromEntries(filled) as NodeJS.ProcessEnv) })
      }
      expect((await pushed(`team/app-${name}:c0ffee`)).status).toBe(200)
    })

  for (const name of ['kubernetes-job', 'kubernetes-restricted'])
    test(`of Kubernetes, ${name}: the arguments build and push`, async () => {
      const [container] = (await read<'kubernetes'>(name)).spec.template.spec.containers
      const volumes = await home(name)
      await mkdir(`${volumes}/store`)
      await writeFile(`${volumes}/.dockerconfigjson`, login())
      const here = (text: string): string =>
        text
          .replace('registry.example.com/team', `${registry.host}/${name}`)
          .replace(/^\/source$/, source)
          .replace(/^(--authfile=)\/login/, `$1${volumes}`)
          .replace(/^\/store/, `${volumes}/store`)
      const own = Object.fromEntries((container?.env ?? []).map((one) => [one.name, here(one.value)]))
      const words = (container?.args ?? []).map(here)
      expect(words).not.toEqual([])
      const { status, stderr } = await runTool('tsbuild', words, { env: { ...env, HOME: volumes, ...own } })
      expect([status, status === 0 ? '' : stderr]).toEqual([0, ''])
      expect((await pushed(`${name}/app:1`)).status).toBe(200)
    })

  test('of Tekton: the script pushes and gives the digest as a result', async () => {
    const [step] = (await read<'tekton'>('tekton-task')).spec.steps
    const volumes = await home('tekton')
    await writeFile(`${volumes}/config.json`, login())
    const values: Readonly<Record<string, string>> = {
      'workspaces.source.path': source,
      'workspaces.login.path': volumes,
      'params.image': `${registry.host}/tekton/app:1`,
      'params.dockerfile': 'Dockerfile',
      'results.digest.path': `${volumes}/digest`,
    }
    const fill = (text: string): string =>
      text.replaceAll(/\$\(([\w.]+)\)/g, (whole, key: string) => values[key] ?? whole)
    const own = Object.fromEntries((step?.env ?? []).map((one) => [one.name, fill(one.value)]))
    const script = fill(step?.script ?? '').replaceAll('/tmp/metadata.json', `${volumes}/metadata.json`)
    await shell(script, { HOME: volumes, ...own, TSBUILD_HOME: `${volumes}/store` })
    const { digest } = await pushed('tekton/app:1')
    expect(digest).toMatch(/^sha256:/)
    expect(await readFile(`${volumes}/digest`, 'utf8')).toBe(digest)
  })
})
