import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  checkTool,
  describeWith,
  makeBusyboxRoot,
  makeBusyboxBase,
  runTool,
  temporaryDirectory,
  type TemporaryDirectory,
  testWith,
} from '@ts-oci/testing'
import {
  bareEnvironment,
  examplesOf,
  installPackages,
  lend,
  type Manifest,
  packageNames,
  packPackages,
  unpackTarball,
} from './tarballs.test.helper.ts'

const LIMIT_MS = 180_000

describeWith(['npm', 'tar', 'busybox'], 'the tarballs of a release', () => {
  let directory: TemporaryDirectory
  let env: NodeJS.ProcessEnv
  let files: Readonly<Record<string, readonly string[]>>

  beforeAll(async () => {
    directory = await temporaryDirectory()
    env = await bareEnvironment(directory)
    const tarballs = await packPackages(directory.join('tarballs'))
    const unpacked = packageNames.map(async (name) => [
      name,
      await unpackTarball(tarballs[name]!, directory.join('unpacked', name)),
    ])
    files = Object.fromEntries(await Promise.all(unpacked)) as Record<string, readonly string[]>
    await installPackages(directory.join('project'), tarballs, env)
  }, LIMIT_MS)
  afterAll(async () => {
    await directory[Symbol.asyncDispose]()
  })

  const contentOf = (name: string, path: string): Promise<string> =>
    readFile(directory.join('unpacked', name, path), 'utf8')
  const npx = (args: readonly string[], cwd = directory.join('project')): ReturnType<typeof runTool> =>
    runTool('npx', ['--offline', ...args], { cwd, env })

  test.each(packageNames)('%s has README, LICENSE and the types of what it exports', async (name) => {
    const manifest = JSON.parse(await contentOf(name, 'package.json')) as Manifest
    const { '.': face } = manifest['exports'] as Readonly<Record<string, { readonly types: string } | undefined>>
    expect(files[name]).toEqual(expect.arrayContaining(['README.md', 'LICENSE']))
    if (face !== undefined) expect(files[name]).toContain(face.types.replace('./', ''))
    expect(await contentOf(name, 'LICENSE')).toContain('Copyright')
  })

  test.each(packageNames)('%s holds neither tests nor what they are made with', (name) => {
    const ofTests = files[name]!.filter((file) => /\btest|fixture|buildkit-cases|\.tsbuildinfo|\.stamp$/.test(file))
    expect(ofTests).toEqual([])
  })

  test.each(packageNames)('%s has the source of every line that its maps point to', async (name) => {
    const maps = files[name]!.filter((file) => file.endsWith('.map'))
    expect(maps.length).toBeGreaterThan(10)
    const missing: string[] = []
    for (const map of maps) {
      const { sources, sourcesContent } = JSON.parse(await contentOf(name, map)) as {
        readonly sources: readonly string[]
        readonly sourcesContent?: readonly unknown[]
      }
      const isThere = (source: string, index: number): boolean =>
        typeof sourcesContent?.[index] === 'string' || files[name]!.includes(join(dirname(map), source))
      missing.push(...sources.filter((source, index) => !isThere(source, index)))
    }
    expect(missing).toEqual([])
  })

  test.each(packageNames)(
    '%s runs nothing when it is installed, and asks for nothing that only tests need',
    async (name) => {
      const manifest = JSON.parse(await contentOf(name, 'package.json')) as Manifest
      expect(manifest).not.toHaveProperty('scripts')
      expect(manifest).not.toHaveProperty('devDependencies')
      expect(JSON.stringify(manifest['exports'])).not.toContain('/src/')
    },
  )

  test('in an empty project without a compiler tsbuild tells its version and builds', async () => {
    const context = directory.join('project/context')
    await mkdir(context)
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY note /\n')
    await writeFile(join(context, 'note'), 'a note\n')
    expect(await npx(['tsbuild', '--version'])).toMatchObject({ status: 0, stdout: expect.stringContaining('0.1.0') })
    expect(await npx(['tsbuild', 'build', '--help'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('--tag'),
    })
    expect(await npx(['tsbuild', '-o', 'out', 'context'])).toMatchObject({ status: 0 })
    expect(await readFile(directory.join('project/out/note'), 'utf8')).toBe('a note\n')
  })

  testWith(['root', 'busybox'], 'the launcher in them runs a step', async () => {
    const { layout } = await makeBusyboxBase(directory.join('base'))
    const context = directory.join('project/steps')
    await mkdir(context)
    await writeFile(join(context, 'Dockerfile'), 'FROM base\nRUN echo ran > /ran\n')
    const words = ['--build-context', `base=oci-layout://${layout}`, '-o', 'stepped', 'steps']
    expect(await npx(['tsbuild', ...words])).toMatchObject({ status: 0 })
    expect(await readFile(directory.join('project/stepped/ran'), 'utf8')).toBe('ran\n')
  })

  test('a program in TypeScript that imports the library is checked and builds', async () => {
    const project = directory.join('project')
    for (const name of ['typescript', '@types/node']) await lend(project, name)
    await writeProgram(directory, 'program', [
      "import { build, scratch, type State } from '@ts-oci/builder'",
      "const state: State = scratch().file('/note', 'from a program\\n')",
      "const result = await build({ state, outputs: [{ type: 'image' }, { type: 'local', dest: 'made' }] })",
      'const digest: string | undefined = result.configDigest',
      'console.log(digest)',
    ])
    await writeProgram(directory, 'wrong', ["import { image } from '@ts-oci/builder'", 'image(1)'])
    const compiler = join(project, 'node_modules/typescript/bin/tsc')
    const flags = ['--module', 'nodenext', '--target', 'esnext', '--strict', '--ignoreConfig']
    await checkTool(process.execPath, [compiler, ...flags, 'program.ts'], { cwd: project, env })
    const wrong = await runTool(process.execPath, [compiler, ...flags, '--noEmit', 'wrong.ts'], { cwd: project, env })
    expect(wrong.stdout).toContain('TS2345')
    expect(await checkTool(process.execPath, ['program.js'], { cwd: project, env })).toMatch(/^sha256:[0-9a-f]{64}\n$/)
    expect(existsSync(join(project, 'made/note'))).toBe(true)
  })

  test('the examples of their READMEs run as they are written', async () => {
    const project = directory.join('project')
    const readmes = await Promise.all(packageNames.map((name) => contentOf(name, 'README.md')))
    const programs = readmes.flatMap((text) => examplesOf(text, 'ts'))
    const commands = readmes.flatMap((text) => examplesOf(text, 'sh')).filter((text) => !text.includes('npm i'))
    expect([programs.length, commands.length]).toEqual([3, 1])
    // What the runtime's example runs.
    await makeBusyboxRoot(join(project, 'rootfs'))
    for (const [index, program] of programs.entries()) {
      await writeFile(join(project, `example-${index}.ts`), program)
      await checkTool(process.execPath, [`example-${index}.ts`], { cwd: project, env })
    }
    for (const command of commands) {
      const path = `${join(project, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`
      await checkTool('sh', ['-ec', command], { cwd: project, env: { ...env, PATH: path } })
    }
  })
})

function writeProgram(directory: TemporaryDirectory, name: string, lines: readonly string[]): Promise<void> {
  return writeFile(directory.join('project', `${name}.ts`), `${lines.join('\n')}\n`)
}
