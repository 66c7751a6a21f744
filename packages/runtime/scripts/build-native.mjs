// Builds the two native parts by calling the C compiler: the launcher (a static executable) and the addon (Node-API), for
// this machine or, with `--all`, for every one that a release serves. A part is compiled only when its sources, the
// command or the compiler changed. CC names this machine's compiler, CC_ARM64 or CC_X64 the one for the other architecture.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const packageRoot = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const native = join(packageRoot, 'native')

/** By Node's name of the architecture: what Debian calls its cross compiler, and the package that brings it. */
const ARCHITECTURES = {
  x64: { compiler: 'x86_64-linux-gnu-gcc', packages: 'gcc-x86-64-linux-gnu libc6-dev-amd64-cross' },
  arm64: { compiler: 'aarch64-linux-gnu-gcc', packages: 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross' },
}
const warnings = ['-Wall', '-Wextra', '-Wno-unused-parameter', '-Wno-missing-field-initializers']

const parts = [
  {
    name: 'launcher',
    folders: ['network', 'supervisor'],
    file: 'launcher',
    flags: () => ['-std=gnu11', '-O2', '-static', '-s', ...warnings],
  },
  {
    name: 'addon',
    file: 'addon.node',
    flags: (arch) => [
      '-std=gnu11',
      '-O2',
      '-shared',
      '-fPIC',
      '-fvisibility=hidden',
      // One file for glibc and musl: it names no C library and asks for no version of a symbol, so both come from what the
      // Node that loads it has already loaded. What only one of them has (checked variants of calls, start files, helpers
      // of the compiler) must not be asked for; native.test.ts looks.
      '-nostdlib',
      '-U_FORTIFY_SOURCE',
      '-fno-stack-protector',
      ...(arch === 'arm64' ? ['-mno-outline-atomics'] : []),
      '-Wl,-z,relro,-z,now,-z,noexecstack',
      '-s',
      ...warnings,
      '-DNAPI_VERSION=9',
      `-I${nodeHeaders()}`,
    ],
  },
]

if (process.platform === 'linux') {
  const wanted = process.argv.includes('--all') ? Object.keys(ARCHITECTURES) : [process.arch]
  for (const arch of wanted) for (const part of parts) build(arch, part)
} else {
  console.log('native: Linux only; parsing, checks and graphs work without it')
}

function build(arch, part) {
  if (!ARCHITECTURES[arch])
    fail(`there is no native code for ${arch}`, `it is written for ${Object.keys(ARCHITECTURES).join(' and ')}`)
  const compiler = compilerOf(arch)
  const { sources, headers } = filesOf(part)
  const flags = part.flags(arch)
  const stamp = fingerprint([...sources, ...headers], [compiler, ...flags])
  const output = join(packageRoot, 'dist', 'native', arch)
  const target = join(output, part.file)
  const stampFile = `${target}.stamp`
  if (existsSync(target) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  mkdirSync(output, { recursive: true })
  // Written aside and renamed: a process that runs the old file keeps it, and nobody sees half of the new one.
  const temporary = `${target}.${process.pid}`
  const started = performance.now()
  const result = spawnSync(compiler, [...flags, '-o', temporary, ...sources], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (result.error?.code === 'ENOENT')
    fail(`no C compiler for ${arch}: "${compiler}" was not found`, compilerHint(arch))
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

function compilerOf(arch) {
  if (arch === process.arch) return process.env['CC'] || 'cc'
  return process.env[`CC_${arch.toUpperCase()}`] || ARCHITECTURES[arch].compiler
}

function compilerHint(arch) {
  return arch === process.arch
    ? 'install one (Debian, Ubuntu: apt-get install gcc libc6-dev; Fedora: dnf install gcc glibc-static; Alpine: apk add build-base linux-headers) or name it in CC'
    : `install one (Debian, Ubuntu: apt-get install ${ARCHITECTURES[arch].packages}) or name it in CC_${arch.toUpperCase()}`
}

/** `NAME.c`, everything in `NAME/` and other folders of its own, and what both parts share in `common/`. */
function filesOf({ name, folders = [] }) {
  const files = [
    join(native, `${name}.c`),
    ...[name, ...folders, 'common'].flatMap((folder) => list(join(native, folder))),
  ]
  return {
    sources: files.filter((path) => path.endsWith('.c')),
    headers: files.filter((path) => path.endsWith('.h')),
  }
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

/** The headers, equal on every architecture, come with the Node that npm installed, else with the one that runs this script. */
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

/** @returns {never} */
function fail(message, hint) {
  console.error(`native: ${message}`)
  if (hint) console.error(`  hint: ${hint}`)
  process.exit(1)
}
