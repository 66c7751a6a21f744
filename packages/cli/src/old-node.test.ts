import { spawn } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { listProcesses, runTool, temporaryDirectory, type TemporaryDirectory, until } from '@ts-oci/testing'
import { environmentOf, tsbuildPath } from './tsbuild.test.helper.ts'

/** A Node that says that it is old, in the process that the user starts alone. */
const oldNode = ['--import', 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"22.18.0"})']

describe('on a Node that is too old', () => {
  test('the command runs on the newer one that npm has installed beside it', async () => {
    await using directory = await temporaryDirectory()
    const words = [...oldNode, tsbuildPath, 'build', '--nonsense', '.']
    const result = await runTool(process.execPath, words, { env: environmentOf(directory) })
    expect(result).toMatchObject({ status: 125, stderr: expect.stringContaining('nonsense') })
  })

  test('without one a sentence says how to get it', async () => {
    await using directory = await temporaryDirectory()
    const result = await runAlone(directory)
    expect(result.status).toBe(1)
    expect(result.stderr).toMatch(
      /^ERROR: tsbuild needs Node\.js 22\.19 or newer, this is v.*\n {2}hint: .*npx -p node-linux-\w+ -p @ts-oci\/cli tsbuild\n$/,
    )
  })

  test('one that does not start, as on musl, counts for none', async () => {
    await using directory = await temporaryDirectory()
    const beside = directory.join('node_modules', `node-linux-${process.arch}`)
    await mkdir(`${beside}/bin`, { recursive: true })
    await writeFile(`${beside}/package.json`, '{}')
    // As where the dynamic linker is missing: ENOENT for a file that is there.
    await writeFile(`${beside}/bin/node`, '#!/nowhere/ld-linux\n', { mode: 0o755 })
    expect(await runAlone(directory)).toMatchObject({ status: 1, stderr: expect.stringContaining('hint: install') })
  })

  test('a signal reaches the command, and its status the caller', async () => {
    await using directory = await temporaryDirectory()
    // It waits for a context that never comes.
    const child = spawn(process.execPath, [...oldNode, tsbuildPath, 'build', '-'], {
      env: environmentOf(directory),
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const ofChild = (): readonly number[] =>
      listProcesses()
        .filter(({ parent }) => parent === child.pid)
        .map(({ pid }) => pid)
    await until(() => ofChild().length > 0, 20_000)
    child.kill('SIGTERM')
    const [code] = (await once(child, 'exit')) as [number]
    expect(code).toBe(143)
    expect(ofChild()).toEqual([])
  })
})

/** Runs the command from a folder of its own, in which nothing else is installed. */
async function runAlone(directory: TemporaryDirectory): ReturnType<typeof runTool> {
  await cp(dirname(tsbuildPath), directory.join('bin'), { recursive: true })
  await writeFile(directory.join('package.json'), '{"type":"module"}')
  return runTool(process.execPath, [...oldNode, directory.join('bin/run.js'), '--help'])
}
