import { spawnSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { temporaryDirectory, testWith } from '@ts-oci/testing'

const checkout = fileURLToPath(new URL('../../../', import.meta.url))
const script = (name: string): string => new URL(`../../../scripts/self/${name}`, import.meta.url).href

interface Locked {
  readonly name: string
  readonly version: string
  readonly integrity: string
}

interface LockScript {
  lockedPackages(lockFile: string): readonly Locked[]
  manifests(context: string, packages: readonly Locked[]): Readonly<Record<'manifest' | 'lock', unknown>>
  tarballOf(name: string, version: string): string
}

const lockScript = (await import(script('lock.mjs'))) as LockScript
const { npm } = (await import(script('context.mjs'))) as { readonly npm: Locked }

testWith(['npm'], 'the image locks what npm says that the command needs at run time, and nothing else', () => {
  const args = ['ls', '--omit=dev', '--all', '--parseable', '--long', '--workspace=packages/cli']
  const { stdout } = spawnSync('npm', args, { cwd: checkout, encoding: 'utf8' })
  // PATH:NAME@VERSION, and for a link of the workspace its target.
  const needed = stdout.split('\n').flatMap((line) => line.split(':')[1] ?? [])
  const foreign = needed.filter((id) => !id.startsWith('@ts-oci/') && !id.startsWith('ts-oci@'))
  const locked = lockScript.lockedPackages(join(checkout, 'package-lock.json'))
  expect(locked.map(({ name, version }) => `${name}@${version}`).toSorted()).toEqual([...new Set(foreign)].toSorted())
  expect(locked.filter(({ integrity }) => !integrity.startsWith('sha512-'))).toEqual([])
})

test('every package of the image is a file of the context with a digest', async () => {
  await using directory = await temporaryDirectory()
  await mkdir(directory.join('vendor'))
  for (const name of ['runtime', 'builder', 'cli']) {
    const text = await readFile(join(checkout, 'packages', name, 'package.json'), 'utf8')
    const { version } = JSON.parse(text) as { readonly version: string }
    await writeFile(directory.join('vendor', lockScript.tarballOf(`@ts-oci/${name}`, version)), name)
  }
  const packages = lockScript.lockedPackages(join(checkout, 'package-lock.json'))
  const { lock } = lockScript.manifests(directory.path, packages)
  const { packages: entries } = lock as { readonly packages: Readonly<Record<string, Record<string, unknown>>> }
  const all = Object.entries(entries).filter(([place]) => place !== '')
  expect(all).toHaveLength(packages.length + 3)
  for (const [place, { resolved, integrity }] of all)
    expect([place, resolved, integrity]).toEqual([
      place,
      expect.stringMatching(/^file:vendor\/[\w.-]+\.tgz$/),
      expect.stringMatching(/^sha512-/),
    ])
})

test('the npm that installs in the image is the one of package.json', async () => {
  const { packageManager } = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8')) as {
    readonly packageManager: string
  }
  expect(`npm@${npm.version}`).toBe(packageManager)
})

test('no step of the image asks the network', async () => {
  const text = await readFile(join(checkout, 'fixtures/self/Dockerfile'), 'utf8')
  expect(text).not.toMatch(/https?:|git@|apt-get|curl|wget/)
  expect(text).toContain('npm-cli.js ci --offline')
})
