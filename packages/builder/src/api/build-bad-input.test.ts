import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { describeWith, freePort, temporaryDirectory } from '@ts-oci/testing'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { build } from './build.ts'
import type { BuildOptions } from '../build/public-types.ts'

describe('a build without what it needs says what is missing', () => {
  const scratch = 'FROM scratch\n'
  const absent: readonly (readonly [string, BuildOptions, object])[] = [
    [
      'context',
      { context: '/nowhere/at/all' },
      {
        code: 'OCI_CONTEXT_NOT_FOUND',
        message: expect.stringContaining('/nowhere/at/all'),
        hint: expect.stringContaining('. is the current one'),
      },
    ],
    [
      'Dockerfile',
      { file: 'Nofile' },
      {
        code: 'OCI_DOCKERFILE_NOT_FOUND',
        message: expect.stringContaining('Nofile'),
        hint: expect.stringContaining('-f'),
      },
    ],
    [
      'target',
      { dockerfile: `${scratch}\n`, target: 'nope' },
      { code: 'OCI_STAGE_NOT_FOUND', message: expect.stringContaining('nope') },
    ],
    [
      'file',
      { dockerfile: `${scratch}COPY nofile /\n` },
      {
        code: 'OCI_COPY_SOURCE_NOT_FOUND',
        message: expect.stringContaining('"/nofile": not found'),
        location: { startLine: 2 },
        codeFrame: expect.stringContaining('>>> COPY nofile /'),
      },
    ],
    [
      'processor of another kind',
      { dockerfile: `${scratch}RUN true\n`, platform: 'linux/sparc64' },
      {
        code: 'OCI_STEP_UNSUPPORTED',
        message: expect.stringContaining('linux/sparc64'),
        location: { startLine: 2 },
        hint: expect.stringContaining('FROM --platform=$BUILDPLATFORM'),
      },
    ],
    [
      'secret',
      { dockerfile: `${scratch}RUN --mount=type=secret,id=token,required=true true\n` },
      { message: expect.stringContaining('token'), location: { startLine: 2 } },
    ],
    [
      'secret file',
      { dockerfile: scratch, secrets: [{ id: 'a', file: '/nowhere/secret' }] },
      { code: 'OCI_SECRET_NOT_FOUND', message: expect.stringContaining('/nowhere/secret') },
    ],
    [
      'word after FROM',
      { dockerfile: 'FROM\n' },
      { location: { startLine: 1 }, codeFrame: expect.stringContaining('>>> FROM') },
    ],
    [
      'known instruction',
      { dockerfile: `${scratch}COPPY a b\n` },
      { message: expect.stringContaining('unknown instruction: COPPY'), location: { startLine: 2 } },
    ],
    ['end of a heredoc', { dockerfile: `${scratch}COPY <<EOF /x\nhello\n` }, { location: { startLine: 2 } }],
    [
      'known flag of an instruction',
      { dockerfile: `${scratch}COPY --bogus a b\n` },
      { message: expect.stringContaining('bogus'), location: { startLine: 2 } },
    ],
    ['valid tag', { dockerfile: scratch, tags: ['UPPER/:case'] }, { code: 'OCI_REFERENCE_INVALID' }],
    [
      'known output',
      { dockerfile: scratch, outputs: [{ type: 'nonsense' as 'oci' }] },
      { code: expect.stringMatching(/^OCI_OPTION_/), message: expect.stringContaining('nonsense') },
    ],
  ]

  test('a secret without end is refused, not read', async () => {
    await using directory = await temporaryDirectory()
    const secrets = [{ id: 'a', file: '/dev/zero' }]
    const failure = build({ context: directory.path, dockerfile: scratch, store: directory.join('store'), secrets })
    await expect(failure).rejects.toMatchObject({
      code: 'OCI_OPTION_INVALID',
      message: expect.stringContaining('larger than'),
    })
  })

  test.each(absent)('%s', async (_name, options, error) => {
    await using directory = await temporaryDirectory()
    await mkdir(directory.join('context'))
    await expect(
      build({ context: directory.join('context'), store: directory.join('store'), ...options }),
    ).rejects.toMatchObject(error)
    if (existsSync(directory.join('store'))) {
      expect(readdirSync(directory.join('store/tmp'))).toEqual([])
      expect(readdirSync(directory.join('store/blobs/sha256'))).toEqual([])
    }
  })

  test.each([
    ['COPY src/App.js /', '"/src/App.js": not found', 'did you mean "src/app.js"?'],
    ['COPY sorce/x /', '"/sorce/x": not found', 'did you mean "source/x"?'],
    ['COPY source/deep/modul.js /', '"/source/deep/modul.js": not found', 'did you mean "source/deep/module.js"?'],
    ['COPY nothing/like/it /', '"/nothing/like/it": not found', 'paths are relative to the build context'],
  ])('a name that is nearly there is told: %s', async (line, message, hint) => {
    await using directory = await temporaryDirectory()
    const context = directory.join('context')
    await mkdir(`${context}/src`, { recursive: true })
    await mkdir(`${context}/source/deep`, { recursive: true })
    await writeFile(`${context}/src/app.js`, '')
    await writeFile(`${context}/source/deep/module.js`, '')
    await expect(
      build({ context, dockerfile: `${scratch}${line}\n`, store: directory.join('store') }),
    ).rejects.toMatchObject({ message: expect.stringContaining(message), hint })
  })

  test('a file as context names the remedy', async () => {
    await using directory = await temporaryDirectory()
    await writeFile(directory.join('Dockerfile'), scratch)
    await expect(
      build({ context: directory.join('Dockerfile'), store: directory.join('store') }),
    ).rejects.toMatchObject({ code: 'OCI_CONTEXT_NOT_FOUND', hint: expect.stringContaining('-f') })
  })

  test('a registry that nobody runs', async () => {
    await using directory = await temporaryDirectory()
    const host = `127.0.0.1:${await freePort()}`
    const failure = build({
      context: directory.path,
      dockerfile: `FROM ${host}/none:1\n`,
      store: directory.join('store'),
      retries: 0,
    })
    await expect(failure).rejects.toMatchObject({
      code: 'OCI_REGISTRY_UNREACHABLE',
      message: expect.stringContaining(host),
      location: { startLine: 1 },
      hint: expect.any(String),
    })
  })
})

describeWith(buildNeeds, 'a step that fails', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function failure(dockerfile: string, options: BuildOptions = {}): Promise<unknown> {
    const context = await world.context('step', { Dockerfile: dockerfile })
    return world.build(context, options).then(
      () => undefined,
      (error: unknown) => error,
    )
  }

  test('its exit code and its last output are told as they are', async () => {
    expect(await failure('FROM $BASE\nRUN echo to stdout; echo to stderr >&2; exit 42\n')).toMatchObject({
      code: 'OCI_STEP_FAILED',
      message: expect.stringContaining('exit code: 42'),
      location: { startLine: 2 },
      codeFrame: expect.stringContaining('>>> RUN echo to stdout'),
      details: { exitCode: 42, output: expect.stringMatching(/to stdout[^]*to stderr/) },
    })
  })

  test.each([
    ['KILL', 137],
    ['TERM', 143],
    ['SEGV', 139],
  ])('a signal: %s', async (signal, status) => {
    expect(await failure(`FROM $BASE\nRUN sh -c 'kill -${signal} $$'; exit $?\n`)).toMatchObject({
      message: expect.stringContaining(`exit code: ${status}`),
      details: { exitCode: status },
    })
  })

  test.each([
    ['a program that is not there', 'RUN ["/no/such/program"]', 127],
    ['a shell that is not there', 'SHELL ["/no/shell", "-c"]\nRUN true', 127],
    ['a program that is not executable', 'RUN ["/etc/passwd"]', 126],
  ])('%s', async (_name, text, status) => {
    expect(await failure(`FROM $BASE\n${text}\n`)).toMatchObject({
      code: 'OCI_STEP_FAILED',
      details: { exitCode: status },
    })
  })

  test('a user that the image does not know', async () => {
    expect(await failure('FROM $BASE\nUSER nobodyknows\nRUN true\n')).toMatchObject({
      code: 'OCI_STEP_FAILED',
      message: expect.stringContaining('nobodyknows'),
      location: { startLine: 3 },
    })
  })

  test('a mount from a stage that is not there', async () => {
    expect(
      await failure('FROM $BASE\nRUN --mount=type=bind,from=nostage,target=/m true\n', { retries: 0 }),
    ).toMatchObject({ location: { startLine: 2 } })
  })

  test('a mount of a path that is not there', async () => {
    expect(await failure('FROM $BASE\nRUN --mount=type=bind,source=nopath,target=/m true\n')).toMatchObject({
      code: expect.stringMatching(/^OCI_/),
      message: expect.stringContaining('nopath'),
      location: { startLine: 2 },
    })
  })

  test('nothing of it is in the store, and no image has its name', async () => {
    const { images } = await import('./images.ts')
    await failure('FROM $BASE\nRUN head -c 1000000 /dev/zero > /x; exit 1\n', { tags: ['never'] })
    expect((await images({ store: world.store })).map((image) => image.repository)).not.toContain('never')
    expect(readdirSync(world.directory.join('store/tmp'))).toEqual([])
  })
})
