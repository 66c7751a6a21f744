import { statSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  describeWith,
  startRegistry,
  temporaryDirectory,
  type Registry,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { tsbuild, writeContext } from './tsbuild.test.helper.ts'

let directory: TemporaryDirectory
let context: string

beforeAll(async () => {
  directory = await temporaryDirectory()
  context = await writeContext(directory, { Dockerfile: 'FROM scratch\nCOPY file /\n', file: 'content\n' })
  expect(await tsbuild(directory, ['-q', '-t', 'app:1', context])).toMatchObject({ status: 0, stderr: '' })
})
afterAll(async () => directory?.[Symbol.asyncDispose]())

/** The JavaScript files of ours that a command loads, without the hash in the name of a chunk. */
async function filesOf(args: readonly string[]): Promise<readonly string[]> {
  const coverage = directory.join('coverage')
  await rm(coverage, { recursive: true, force: true })
  const ran = await tsbuild(directory, args, { env: { NODE_V8_COVERAGE: coverage } })
  expect(ran).toMatchObject({ status: 0 })
  const reports = await Promise.all(
    (await readdir(coverage)).map(async (name) => {
      return JSON.parse(await readFile(`${coverage}/${name}`, 'utf8')) as { result: readonly { url: string }[] }
    }),
  )
  const urls = reports.flatMap(({ result }) => result.map(({ url }) => url))
  return urls
    .filter((url) => url.startsWith('file:'))
    .map((url) => basename(url).replace(/-[A-Z0-9]{8}\.js$/, '.js'))
    .toSorted()
}

/** A file costs most of a millisecond, what stands in it more: who adds one here has measured it. */
describe('a command loads nothing that it does not need', () => {
  test.each([
    ['--version', ['--version'], ['answer.js', 'run.js']],
    ['--help', ['--help'], ['answer.js', 'run.js']],
    ['a cached build', ['-q', '-t', 'app:1', 'context'], ['main.js', 'run.js']],
    ['tag', ['tag', 'app:1', 'app:2'], ['commands.js', 'main.js', 'run.js']],
    ['images', ['images'], ['commands.js', 'main.js', 'run.js']],
  ])('%s', async (_, args, files) => {
    expect(await filesOf(args)).toEqual(files)
  })

  // 5 ms and 4 ms, where all that tag does besides Node's start takes 30.
  test('tag loads neither cryptography nor streams of Node', async () => {
    const hook = directory.join('modules.cjs')
    await writeFile(
      hook,
      `process.on('exit', () => {
         const loaded = process.moduleLoadList.map((name) => name.replace('NativeModule ', ''))
         require('fs').writeSync(2, ['crypto', 'stream', 'sqlite'].filter((name) => loaded.includes(name)).join(' '))
       })`,
    )
    const ran = await tsbuild(directory, ['tag', 'app:1', 'app:2'], { env: { NODE_OPTIONS: `--require=${hook}` } })
    expect(ran).toMatchObject({ status: 0, stderr: 'sqlite' })
  })

  // V8 refuses all compiled code once a flag of it has changed: from then on modules take twice as long and more.
  test('and no flag of V8 changes before the store is open', async () => {
    const hook = directory.join('hook.cjs')
    await writeFile(
      hook,
      `require('v8').setFlagsFromString = () => {
         if (!process.moduleLoadList.includes('NativeModule sqlite')) process.stderr.write('too early')
       }`,
    )
    const ran = await tsbuild(directory, ['-q', 'context'], { env: { NODE_OPTIONS: `--require=${hook}` } })
    expect(ran).toMatchObject({ status: 0, stderr: '' })
  })
})

// Node tries for ever to make a directory below /proc.
test.each(['/proc', 'relative'])(
  'a command whose home is %s runs, and leaves no cache in the current directory',
  async (HOME) => {
    await using own = await temporaryDirectory('startup-home')
    const env = { HOME, XDG_CACHE_HOME: '' }
    expect(await tsbuild(own, ['images'], { env })).toMatchObject({ status: 0, stderr: '' })
    expect(await readdir(own.path)).not.toContain('relative')
  },
)

test('the cache of compiled code is for its user alone, whatever the umask', async () => {
  await using own = await temporaryDirectory('startup-cache')
  const env = { HOME: own.path, XDG_CACHE_HOME: '' }
  expect(await tsbuild(own, ['images'], { env })).toMatchObject({ status: 0, stderr: '' })
  const modes = ['.cache', '.cache/tsbuild', '.cache/tsbuild/compile-cache'].map(
    (name) => statSync(own.join(name)).mode,
  )
  expect(modes.map((mode) => (mode & 0o777).toString(8))).toEqual(['700', '700', '700'])
})

describeWith(['docker-registry'], 'a push loads nothing that it does not need', () => {
  let registry: Registry
  beforeAll(async () => {
    registry = await startRegistry()
  })
  afterAll(async () => registry?.[Symbol.asyncDispose]())

  test('whether its layers are to be compressed or were before', async () => {
    const push = ['push', '-q', 'app:1', `${registry.host}/app:1`]
    const files = ['commands.js', 'compression.js', 'main.js', 'run.js']
    expect(await filesOf(push)).toEqual(files)
    expect(await filesOf(push)).toEqual(files)
  })
})
