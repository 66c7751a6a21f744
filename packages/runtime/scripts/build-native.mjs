// Builds the two native parts by calling the C compiler: the launcher (a static executable) and the addon (Node-API).
// A part is compiled only when its sources, the command or the compiler changed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const packageRoot = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const native = join(packageRoot, 'native')
const output = join(packageRoot, 'dist', 'native')
const compiler = process.env['CC'] || 'cc'
const warnings = ['-Wall', '-Wextra', '-Wno-unused-parameter', '-Wno-missing-field-initializers']

const parts = [
  {
    name: 'launcher',
    file: 'ts-oci-launcher',
    flags: () => ['-std=gnu11', '-O2', '-static', ...warnings],
    libraries: [],
  },
  {
    name: 'addon',
    file: 'addon.node',
    flags: () => [
      '-std=gnu11',
      '-O2',
      '-shared',
      '-fPIC',
      '-fvisibility=hidden',
      ...warnings,
      '-DNAPI_VERSION=9',
      `-I${nodeHeaders()}`,
    ],
    libraries: ['-lpthread'],
  },
]

if (process.platform === 'linux') {
  mkdirSync(output, { recursive: true })
  for (const part of parts) build(part)
} else {
  console.log('native: Linux only; parsing, checks and graphs work without it')
}

function build(part) {
  const { sources, headers } = filesOf(part.name)
  const flags = part.flags()
  const stamp = fingerprint([...sources, ...headers], [compiler, ...flags, ...part.libraries])
  const target = join(output, part.file)
  const stampFile = `${target}.stamp`
  if (existsSync(target) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  // Written aside and renamed: a process that runs the old file keeps it, and nobody sees half of the new one.
  const temporary = `${target}.${process.pid}`
  const started = performance.now()
  const result = spawnSync(compiler, [...flags, '-o', temporary, ...sources, ...part.libraries], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (result.error?.code === 'ENOENT') {
    fail(
      `no C compiler: "${compiler}" was not found`,
      'install one (Debian, Ubuntu: apt-get install gcc libc6-dev; Fedora: dnf install gcc glibc-static; Alpine: apk add build-base) or name it in CC',
    )
  }
  if (result.error) fail(`${compiler} could not be started: ${result.error.message}`)
  if (result.status !== 0) {
    rmSync(temporary, { force: true })
    const hint =
      part.name === 'launcher' ? 'the launcher is linked statically: libc.a is needed (libc6-dev, glibc-static)' : ''
    fail(`${compiler} failed on the ${part.name}`, hint)
  }
  renameSync(temporary, target)
  writeFileSync(stampFile, stamp)
  console.log(`native: ${relative(packageRoot, target)} (${Math.round(performance.now() - started)} ms)`)
}

/** `NAME.c` and everything in `NAME/`; headers of `native/` itself belong to both parts. */
function filesOf(name) {
  const inFolder = existsSync(join(native, name)) ? list(join(native, name)) : []
  const shared = list(native).filter((path) => path.endsWith('.h'))
  const sources = [join(native, `${name}.c`), ...inFolder.filter((path) => path.endsWith('.c'))]
  if (!existsSync(sources[0])) fail(`${sources[0]} is missing`)
  return { sources, headers: [...shared, ...inFolder.filter((path) => path.endsWith('.h'))] }
}

function list(folder) {
  return readdirSync(folder)
    .toSorted()
    .map((name) => join(folder, name))
}

function fingerprint(files, command) {
  const hash = createHash('sha256').update(JSON.stringify([process.arch, command]))
  for (const file of files) hash.update(`\0${relative(native, file)}\0`).update(readFileSync(file))
  return hash.digest('hex')
}

/** The headers come with the Node that npm installed, else with the Node that runs this script. */
function nodeHeaders() {
  let folder = packageRoot
  while (true) {
    const candidate = join(folder, 'node_modules', `node-linux-${process.arch}`, 'include', 'node')
    if (existsSync(join(candidate, 'node_api.h'))) return candidate
    const parent = dirname(folder)
    if (parent === folder) break
    folder = parent
  }
  const own = resolve(dirname(process.execPath), '..', 'include', 'node')
  if (existsSync(join(own, 'node_api.h'))) return own
  return fail(
    'the Node-API headers were not found',
    `npm install node-linux-${process.arch}, or run with a Node that has its include folder`,
  )
}

function fail(message, hint) {
  console.error(`native: ${message}`)
  if (hint) console.error(`  hint: ${hint}`)
  process.exit(1)
}
