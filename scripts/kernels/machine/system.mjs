// The system of one release as a disk image, with its kernel and initial RAM disk beside it. Made once and kept.
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { environment, run, step, stop } from '../../setup.mjs'
import { findProgram } from './requirements.mjs'
import { packages, releases } from './releases.mjs'

/** Of the image; it is sparse, what is written below is what counts. */
const DISK_SIZE = '8G'

/** What the disk needs to say about the machine; the checks themselves come on another disk. */
const files = {
  'etc/hostname': 'kernels\n',
  'etc/hosts': '127.0.0.1 localhost kernels\n',
  'etc/fstab': 'LABEL=payload /opt/kernels ext4 ro 0 0\n',
  'etc/systemd/system/kernels.service': `[Unit]
Description=The checks
RequiresMountsFor=/opt/kernels
After=multi-user.target systemd-user-sessions.service dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh /opt/kernels/scripts/kernels/guest/run-all.sh
ExecStopPost=/bin/systemctl --no-block poweroff
`,
}

/** Nothing here speaks to a network or tends an old system: it would take the processors from the checks. */
const masked = ['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer', 'e2scrub_reap.service',
  'fstrim.timer', 'getty.target', 'serial-getty@ttyS0.service', 'systemd-timesyncd.service', 'systemd-networkd-wait-online.service'] // prettier-ignore

/**
 * @param name of the release
 * @param workDirectory where the image is looked for and left
 * @returns paths of disk, kernel and initrd
 */
export async function prepareSystem(name, workDirectory) {
  const recipe = JSON.stringify([releases[name], packages, files, masked, DISK_SIZE])
  const directory = join(workDirectory, `${name}-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`)
  const system = {
    disk: join(directory, 'system.ext4'),
    kernel: join(directory, 'vmlinuz'),
    initrd: join(directory, 'initrd.img'),
  }
  if (existsSync(directory)) return system
  step(`${name}: a system by debootstrap (some minutes; kept in ${workDirectory})`)
  const temporary = mkdtempSync(join(workDirectory, 'making-'))
  try {
    await makeSystem(name, temporary)
    renameSync(temporary, directory)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
  return system
}

async function makeSystem(name, directory) {
  const tree = join(directory, 'tree')
  const { mirror, kernelPackage, components } = releases[name]
  const include = [...packages, kernelPackage].join(',')
  const log = join(directory, 'debootstrap.log')
  const args = ['--variant=minbase', `--components=${components}`, `--include=${include}`, name, tree, mirror]
  await program(findProgram('debootstrap'), args, log)
  for (const [path, text] of Object.entries(files)) writeFileSync(join(tree, path), text)
  for (const unit of masked) replaceLink('/dev/null', join(tree, 'etc/systemd/system', unit))
  mkdirSync(join(tree, 'opt/kernels'))
  const wants = join(tree, 'etc/systemd/system/default.target.wants')
  mkdirSync(wants, { recursive: true })
  replaceLink('/etc/systemd/system/kernels.service', join(wants, 'kernels.service'))
  addUsers(tree)
  for (const file of ['vmlinuz', 'initrd.img']) {
    const link = [join(tree, file), join(tree, 'boot', file)].find((path) => existsSync(path))
    if (link === undefined) stop(`${name} brought no ${file}`, `see ${kernelPackage} of that release`)
    copyFileSync(realpathSync(link), join(directory, file))
  }
  rmSync(join(tree, 'var/cache/apt/archives'), { recursive: true })
  await program(
    findProgram('mkfs.ext4'),
    ['-q', '-L', 'system', '-d', tree, join(directory, 'system.ext4'), DISK_SIZE],
    log,
  )
  rmSync(tree, { recursive: true })
}

/** `sub` has subordinate ids, `single` has none: the two kinds of ordinary user. */
function addUsers(tree) {
  const append = (file, line) => writeFileSync(join(tree, 'etc', file), `${line}\n`, { flag: 'a' })
  for (const [user, id] of [
    ['sub', 1001],
    ['single', 1002],
  ]) {
    // prettier-ignore
    append('passwd', `${user}:x:${id}:${id}::/home/${user}:/bin/sh`)
    append('group', `${user}:x:${id}:`)
    append('shadow', `${user}:*:19000:0:99999:7:::`)
  }
  for (const file of ['subuid', 'subgid']) writeFileSync(join(tree, 'etc', file), 'sub:100000:65536\n')
}

function replaceLink(target, path) {
  rmSync(path, { force: true })
  symlinkSync(target, path)
}

async function program(path, args, log) {
  const { openSync, closeSync, readFileSync } = await import('node:fs')
  const output = openSync(log, 'a')
  const status = await run(path, args, { stdio: ['ignore', output, output], env: { ...environment(), LC_ALL: 'C' } })
  closeSync(output)
  if (status === 0) return
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15)
  stop(`${path} failed:\n${lines.join('\n')}`, 'the mirror must be reachable; see the lines above')
}
