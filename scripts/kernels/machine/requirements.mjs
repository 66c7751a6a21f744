// What `npm run kernels` needs of this machine, looked for before anything is begun.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, stop } from '../../setup.mjs'

/** Program → Debian package. */
const programs = {
  'qemu-system-x86_64': 'qemu-system-x86',
  debootstrap: 'debootstrap',
  'mkfs.ext4': 'e2fsprogs',
  busybox: 'busybox-static',
}

/** Of the machine of another architecture, which has no distribution. */
const programsOfArm64 = {
  'qemu-system-aarch64': 'qemu-system-arm',
  'mkfs.ext4': 'e2fsprogs',
  busybox: 'busybox-static',
  'apt-get': 'apt',
  dpkg: 'dpkg',
}

/** Ends this process with one message that names every package that is missing. */
export function checkRequirements(names) {
  if (process.platform !== 'linux' || process.arch !== 'x64') stop('npm run kernels works on Linux x86-64 only')
  const needed = {
    ...(names.includes('arm64') ? programsOfArm64 : {}),
    ...(names.some((name) => name !== 'arm64') ? programs : {}),
  }
  const missing = Object.entries(needed).filter(([program]) => findProgram(program) === undefined)
  if (missing.length > 0) {
    stop(
      `missing on this machine: ${missing.map(([program]) => program).join(', ')}`,
      `Debian, Ubuntu: apt-get install --no-install-recommends ${missing.map(([, name]) => name).join(' ')}`,
    )
  }
  if (process.getuid() !== 0)
    stop('debootstrap has to be root', 'run it as root; the machine that is booted has ordinary users')
  const launcher = join(root, 'packages/runtime/dist/native/x64/launcher')
  if (!existsSync(launcher)) stop('the packages are not compiled', 'npm run build')
  // Steps of a machine without the libraries of this one run it.
  if (isDynamic(findProgram('busybox'))) stop('busybox is linked dynamically', 'apt-get install busybox-static')
}

/** The path of a program, /usr/sbin included, which ordinary users lack in PATH. */
export function findProgram(name) {
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':')
  return folders.map((folder) => join(folder, name)).find((path) => path.startsWith('/') && existsSync(path))
}

/** Whether an ELF file of 64 bits has a PT_INTERP segment. */
function isDynamic(path) {
  const bytes = readFileSync(path)
  const start = Number(bytes.readBigUInt64LE(32))
  const [size, count] = [bytes.readUInt16LE(54), bytes.readUInt16LE(56)]
  return Array.from({ length: count }, (_, i) => bytes.readUInt32LE(start + i * size)).includes(3)
}
