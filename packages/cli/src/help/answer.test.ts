import { cp, mkdir } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { runTool, temporaryDirectory } from '@ts-oci/testing'
import { asksForHelp } from '../command-words.ts'
import { specs } from '../flags.ts'
import { environmentOf, tsbuild, tsbuildPath } from '../tsbuild.test.helper.ts'

test('the version says whose it is', async () => {
  await using directory = await temporaryDirectory()
  for (const words of [['--version'], ['-v'], ['version']]) {
    const { status, stdout } = await tsbuild(directory, words)
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^tsbuild \d+\.\d+\.\d+\n$/)])
  }
})

test('versions and help are answered by the command and its texts alone, nothing else is loaded', async () => {
  await using directory = await temporaryDirectory()
  const cli = tsbuildPath.replace(/\/bin\/run\.js$/, '')
  await mkdir(directory.join('dist'))
  for (const part of ['bin', 'dist/help', 'package.json']) {
    await cp(`${cli}/${part}`, directory.join(part), { recursive: true })
  }
  for (const words of [
    [],
    ['--version'],
    ['--help'],
    ['help'],
    ['build', '--help'],
    ['build', '--help', '--all'],
    ['help', 'push'],
  ]) {
    const { status, stdout } = await runTool(process.execPath, [directory.join('bin/run.js'), ...words], {
      env: environmentOf(directory),
    })
    expect([words, status, stdout]).toEqual([words, 0, expect.stringMatching(/^(?:tsbuild \d|Builds OCI|USAGE)/)])
  }
})

test('help of a build begins with what is used every day and leaves out what has no effect', async () => {
  await using directory = await temporaryDirectory()
  const { stdout } = await tsbuild(directory, ['build', '--help'])
  const flags = [...stdout.matchAll(/^ {2}(?:-.,| {3})? ?--([a-z-]+)/gm)].map(([, name]) => name)
  expect(flags.slice(0, 6)).toEqual(['tag', 'file', 'target', 'build-arg', 'platform', 'push'])
  expect(stdout).toMatch(/\nFLAGS\n.*\nOUTPUT FLAGS\n.*\nCACHE FLAGS\n.*\nREGISTRY AND STORE FLAGS\n/s)
  expect(stdout).not.toMatch(/without effect:|refused|not supported/)
  expect(stdout).toMatch(/more flags, .*: tsbuild build --help --all\n$/s)
})

test('help with --all has every flag of the table, those that are refused with what to do', async () => {
  await using directory = await temporaryDirectory()
  for (const spec of specs) {
    const { stdout } = await tsbuild(directory, [...spec.name.split(' '), '--help', '--all'])
    const missing = spec.flags.filter(({ name }) => !stdout.includes(`--${name}`))
    expect([spec.name, missing]).toEqual([spec.name, []])
    expect(stdout).toContain(`$ tsbuild ${spec.name} `.trimEnd())
  }
})

test('help behind other words is that of the command', async () => {
  await using directory = await temporaryDirectory()
  expect((await tsbuild(directory, ['-t', 'x', '.', '--help'])).stdout).toMatch(/^USAGE\n {2}\$ tsbuild build /)
  expect((await tsbuild(directory, ['debug'])).stdout).toMatch(/^USAGE\n {2}\$ tsbuild debug COMMAND\n/)
})

test('the value of a flag is no question for help', () => {
  expect(asksForHelp(['build', '--build-arg', '--help', '.'])).toBe(false)
  expect(asksForHelp(['build', '--', '--help'])).toBe(false)
  expect(asksForHelp(['build', '-q', '-h'])).toBe(true)
})
