import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { describeWith, temporaryDirectory } from '@ts-oci/testing'
import { bind } from '../frontends/state/mounts.ts'
import { image, local, scratch } from '../frontends/state/state.ts'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { build } from './build.ts'

const EPOCH = { sourceDateEpoch: 1_000_000_000 }

test('a state gives the image of the Dockerfile that says the same', async () => {
  await using directory = await temporaryDirectory()
  const context = directory.join('context')
  mkdirSync(`${context}/app/sub`, { recursive: true })
  for (const name of ['app/a.txt', 'app/sub/b.txt', 'app/left.md']) writeFileSync(`${context}/${name}`, name)
  execFileSync('tar', ['-cf', `${context}/files.tar`, '-C', `${context}/app`, 'sub'])
  writeFileSync(`${context}/.dockerignore`, '**/*.md\n')
  const dockerfile = [
    'FROM scratch AS files',
    'COPY app /files/',
    'FROM scratch',
    'WORKDIR /srv',
    'COPY --from=files --chown=1:2 --chmod=640 /files/*.txt ./',
    'ADD files.tar /unpacked/',
    "COPY <<'note' /etc/",
    'a $note',
    'note',
    'ENV A="1 2" B=3',
    'EXPOSE 8080',
    'HEALTHCHECK --interval=5s CMD ["/check"]',
    'CMD ["/srv/run"]',
  ]
  const here = local(context)
  const files = scratch().copy(here, '/files/', { sources: ['app'] })
  const state = scratch()
    .workdir('/srv')
    .copy(files, './', { sources: ['/files/*.txt'], owner: '1:2', mode: 0o640 })
    .add(here, '/unpacked/', { sources: ['files.tar'] })
    .file('/etc/note', 'a $note\n')
    .env({ A: '1 2', B: '3' })
    .expose(8080)
    .healthcheck(['/check'], { intervalMs: 5000 })
    .cmd(['/srv/run'])
  // What is not of the context takes the time of the build; the image's layers then have the fixed one.
  const outputs = (dest: string) => [
    { type: 'oci' as const, dest: directory.join(dest), 'rewrite-timestamp': 'true' },
    { type: 'local' as const, dest: directory.join(`${dest}.files`) },
  ]
  const written = await build({
    context,
    dockerfile: `${dockerfile.join('\n')}\n`,
    ...EPOCH,
    store: directory.join('one'),
    outputs: outputs('written'),
  })
  const made = await build({ state, ...EPOCH, store: directory.join('two'), outputs: outputs('made') })
  expect(made.configDigest).toBe(written.configDigest)
  expect(made.digest).toBe(written.digest)
  expect(readFileSync(directory.join('made.files/etc/note'), 'utf8')).toBe('a $note\n')
  expect(existsSync(directory.join('made.files/unpacked/sub/b.txt'))).toBe(true)
})

describe('a local directory', () => {
  async function filesOf(options?: Parameters<typeof local>[1]): Promise<readonly string[]> {
    await using directory = await temporaryDirectory()
    const context = directory.join('context')
    mkdirSync(`${context}/.git`, { recursive: true })
    for (const name of ['.git/config', '.env', 'index.js']) writeFileSync(`${context}/${name}`, name)
    writeFileSync(`${context}/.dockerignore`, '.git\n.env\n.dockerignore\n')
    const state = scratch().copy(local(context, options), '/')
    const dest = directory.join('out')
    await build({ state, store: directory.join('store'), outputs: [{ type: 'local', dest }] })
    return readdirSync(dest).sort()
  }

  test('leaves out what its ignore file names', async () => {
    expect(await filesOf()).toEqual(['index.js'])
  })

  test('takes patterns instead of its ignore file, and none where that is said', async () => {
    expect(await filesOf({ ignore: ['*.js'] })).toEqual(['.dockerignore', '.env', '.git'])
    expect(await filesOf({ ignore: false })).toEqual(['.dockerignore', '.env', '.git', 'index.js'])
  })

  test('is copied anew when its ignore file names something else', async () => {
    await using directory = await temporaryDirectory()
    const context = directory.join('context')
    mkdirSync(context)
    for (const name of ['a', 'b']) writeFileSync(`${context}/${name}`, name)
    const state = scratch().copy(local(context), '/')
    const filesWith = async (ignore: string): Promise<readonly string[]> => {
      writeFileSync(`${context}/.dockerignore`, `${ignore}\n.dockerignore\n`)
      const dest = directory.join(`without-${ignore}`)
      await build({ state, store: directory.join('store'), outputs: [{ type: 'local', dest }] })
      return readdirSync(dest)
    }
    expect(await filesWith('a')).toEqual(['b'])
    expect(await filesWith('b')).toEqual(['a'])
  })
})

test.each([
  ['file', 'Dockerfile'],
  ['dockerfile', 'FROM scratch'],
  ['target', 'final'],
  ['buildContexts', {}],
  ['noCacheFilter', []],
])('%s beside a state is refused', async (name, value) => {
  await using directory = await temporaryDirectory()
  const options = { state: scratch().env('A', '1'), store: directory.join('store'), [name]: value }
  await expect(build(options)).rejects.toMatchObject({
    code: 'OCI_OPTION_INVALID',
    message: `${name} is for Dockerfiles, and this build has a state`,
  })
})

describeWith(buildNeeds, 'a state on a base', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  test('runs commands, scripts and what is mounted, and is cached as the same Dockerfile', async () => {
    const base = image(world.base)
    const tools = base.file('/tools/hello', '#!/bin/sh\necho hello\n', { mode: 0o755 })
    const state = base
      .run('/tools/hello > /first', { mounts: [bind(tools, '/tools', { source: '/tools' })] })
      .run('#!/bin/sh\necho second > /second\n')
    const dest = world.directory.join('out')
    const made = await build({ state, store: world.store, outputs: [{ type: 'local', dest }] })
    expect(made.vertices.some(({ status }) => status === 'ran')).toBe(true)
    expect(readFileSync(`${dest}/first`, 'utf8')).toBe('hello\n')
    expect(readFileSync(`${dest}/second`, 'utf8')).toBe('second\n')
    const dockerfile = [
      'FROM $BASE AS tools',
      "COPY --chmod=755 <<'hello' /tools/",
      '#!/bin/sh',
      'echo hello',
      'hello',
      'FROM $BASE',
      'RUN --mount=from=tools,source=/tools,target=/tools /tools/hello > /first',
      'RUN <<EOF',
      '#!/bin/sh',
      'echo second > /second',
      'EOF',
    ]
    const context = await world.context('same', { Dockerfile: `${dockerfile.join('\n')}\n` })
    const { vertices } = await world.build(context)
    expect(vertices.filter(({ status, name }) => status !== 'cached' && !name.includes('[internal]'))).toEqual([])
  })

  test('a step that fails is shown among the others', async () => {
    const state = image(world.base).env('A', '1').run('exit 3').cmd(['x'])
    await expect(build({ state, store: world.store })).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
      location: { file: 'state', startLine: 3 },
      codeFrame: expect.stringMatching(/ENV A=1\n.*>>> RUN exit 3/s),
    })
  })
})
