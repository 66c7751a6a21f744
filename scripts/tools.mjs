// The real tools that tests talk to, and the Debian packages that bring them.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { step } from './setup.mjs'

/** Executable → Debian packages. */
const packages = {
  'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross',
  // No distribution has it: npm install -g azurite.
  'azurite-blob': 'azurite',
  bzip2: 'bzip2',
  busybox: 'busybox-static',
  crane: 'crane',
  debootstrap: 'debootstrap',
  'docker-registry': 'docker-registry',
  git: 'git',
  gzip: 'gzip',
  ip: 'iproute2',
  iptables: 'iptables',
  ldd: 'libc-bin',
  losetup: 'mount',
  'mkfs.ext4': 'e2fsprogs',
  mount: 'mount',
  moto_server: 'python3-moto python3-flask python3-flask-cors',
  'musl-gcc': 'musl-tools',
  newuidmap: 'uidmap',
  nft: 'nftables',
  nsenter: 'util-linux',
  objdump: 'binutils',
  openssl: 'openssl',
  pasta: 'passt',
  ps: 'procps',
  python3: 'python3',
  'qemu-aarch64-static': 'qemu-user-static',
  script: 'bsdutils',
  setpriv: 'util-linux',
  skopeo: 'skopeo',
  ssh: 'openssh-client',
  'ssh-add': 'openssh-client',
  'ssh-agent': 'openssh-client',
  'ssh-keygen': 'openssh-client',
  sshd: 'openssh-server',
  sysctl: 'procps',
  tar: 'tar',
  tmux: 'tmux',
  umoci: 'umoci',
  unshare: 'util-linux',
  xz: 'xz-utils',
  zstd: 'zstd',
}

/**
 * Installs what is missing through apt-get, as root on Debian and Ubuntu unless TS_OCI_NO_INSTALL=1.
 * Returns the tools that this distribution has no package for.
 */
export function ensureTools() {
  const missing = Object.keys(packages).filter((tool) => !isInstalled(tool))
  if (missing.length === 0) return []
  const wanted = [...new Set(missing.flatMap(packagesOf))]
  if (process.env['TS_OCI_NO_INSTALL'] === '1') return say(missing, 'TS_OCI_NO_INSTALL=1 forbids to install them')
  if (!isDebian()) return say(missing, 'only Debian and Ubuntu are known here')
  if (process.getuid() !== 0) return say(missing, `install them: sudo apt-get install ${wanted.join(' ')}`)
  if (wanted.some((name) => !hasCandidate(name))) aptGet(['update', '-qq'])
  const available = wanted.filter(hasCandidate)
  const unavailable = missing.filter((tool) => !packagesOf(tool).every((name) => available.includes(name)))
  if (unavailable.length > 0) console.log(`tests: this distribution has no package for ${unavailable.join(', ')}`)
  if (available.length > 0) {
    step(`apt-get install ${available.join(' ')} (tools of the tests; TS_OCI_NO_INSTALL=1 forbids it)`)
    withoutServices(() => aptGet(['install', '-y', '-qq', '--no-install-recommends', ...available]))
  }
  return unavailable
}

function packagesOf(tool) {
  return packages[tool].split(' ')
}

function say(missing, reason) {
  console.log(`tests: missing ${missing.join(', ')}; ${reason}`)
  return []
}

function isDebian() {
  if (!existsSync('/etc/os-release') || !existsSync('/usr/bin/apt-get')) return false
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'))
}

function isInstalled(tool) {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
  if (!path.split(':').some((folder) => folder !== '' && existsSync(`${folder}/${tool}`))) return false
  // Debian's plain busybox is linked dynamically: no base image can be made of it.
  return tool !== 'busybox' || packageIsInstalled('busybox-static') || !packageIsInstalled('busybox')
}

function packageIsInstalled(name) {
  const result = spawnSync('dpkg-query', ['-W', '-f=${db:Status-Status}', name], { encoding: 'utf8' })
  return result.status === 0 && result.stdout === 'installed'
}

function hasCandidate(name) {
  const result = spawnSync('apt-cache', ['policy', name], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  return /^ {2}Candidate: (?!\(none\))/m.test(result.stdout ?? '')
}

function aptGet(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const result = spawnSync('apt-get', args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (result.status === 0) return
  console.error(result.stdout, result.stderr)
  console.error(`tests: apt-get ${args[0]} failed; tests that need the tools will say so`)
}

/** Packages start no service while `install` runs: Debian asks policy-rc.d, and 101 means no. */
function withoutServices(install) {
  const policy = '/usr/sbin/policy-rc.d'
  const saved = `${policy}.ts-oci`
  if (existsSync(policy)) renameSync(policy, saved)
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    install()
  } finally {
    rmSync(policy, { force: true })
    if (existsSync(saved)) renameSync(saved, policy)
  }
}
