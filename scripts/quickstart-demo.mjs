// The main job: a base image from this machine by the fluent API, a Dockerfile built on it, its history, and the same
// build again, which finds everything in the cache.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, local, scratch } from '@ts-oci/builder'
import { step, stop } from './setup.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const fixture = join(root, 'fixtures', 'quickstart')
const tools = ['sh', 'cat', 'cp', 'ls', 'mkdir', 'sort', 'tee', 'wc']

step('a base image from this machine, with the fluent API: Node, a shell and their libraries, some 130 MB')
const staging = mkdtempSync(join(tmpdir(), 'ts-oci-quickstart-'))
try {
  collectHost(staging)
  const state = scratch()
    .copy(local(staging), '/')
    .directory('/tmp', { mode: 0o1777 })
    .env('PATH', '/usr/local/bin:/usr/bin:/bin')
    .cmd(['sh'])
  await build({ state, tags: ['quickstart-base'] })
} finally {
  rmSync(staging, { recursive: true, force: true })
}
tsbuild('images', 'quickstart-base')

step('tsbuild -t quickstart fixtures/quickstart')
tsbuild('-t', 'quickstart', fixture)

step('tsbuild history quickstart')
tsbuild('history', 'quickstart')

step('the same build again: everything comes from the cache')
const again = await build({ context: fixture, tags: ['quickstart'] })
// Reading the context is how a build finds out that nothing changed: it is no step.
const steps = again.vertices.filter(({ name }) => !name.startsWith('[internal]'))
const ran = steps.filter(({ status }) => status !== 'cached')
for (const { name, status, durationMs } of steps)
  console.log(`${status.padEnd(7)} ${durationMs.toFixed(0).padStart(5)} ms  ${name}`)
if (ran.length > 0) stop(`not everything was cached: ${ran.map(({ name }) => name).join(', ')}`)
console.log(`\nimage ${again.configDigest}, ${steps.length} of ${steps.length} steps cached`)
console.log(
  'next, in this clone: npx tsbuild images; npx tsbuild -t my-app .; npx tsbuild rmi quickstart quickstart-base',
)

/** The files of a small root file system: Node, a shell, a few utilities, and the libraries that they load. */
function collectHost(directory) {
  const programs = tools.map((name) => ({ from: which(name), to: `usr/bin/${name}` }))
  programs.push({ from: process.execPath, to: 'usr/local/bin/node' })
  for (const { from, to } of programs) place(from, join(directory, to))
  for (const library of new Set(programs.flatMap(({ from }) => librariesOf(from))))
    place(library, join(directory, library))
  symlinkSync('usr/bin', join(directory, 'bin'))
  for (const name of ['etc', 'proc', 'dev', 'sys', 'var', 'root']) mkdirSync(join(directory, name), { recursive: true })
}

function place(from, to) {
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(realpathSync(from), to)
  chmodSync(to, 0o755)
}

/** Paths in the output of ldd, the dynamic loader among them; none for a static executable. */
function librariesOf(program) {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' })
  return [...(stdout ?? '').matchAll(/(?:=>\s+|^\s+)(\/\S+)\s+\(0x/gm)].map(([, path]) => path)
}

function which(name) {
  const found = (process.env['PATH'] ?? '')
    .split(':')
    .concat('/usr/bin', '/bin')
    .map((folder) => join(folder, name))
  for (const path of found) {
    try {
      return realpathSync(path)
    } catch {
      continue
    }
  }
  return stop(`${basename(name)} was not found on this machine`)
}

function tsbuild(...args) {
  const { status } = spawnSync(process.execPath, [join(root, 'packages', 'cli', 'bin', 'run.js'), ...args], {
    stdio: 'inherit',
  })
  if (status !== 0) stop(`tsbuild ${args.join(' ')} failed`)
}
