// Starts a place and runs guest.mjs in it.
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** An id that has a name and gets subordinate ones, and one that has neither. */
const hostUsers = { root: 0, subordinate: 65_534, single: 12_345 }
const inContainer = { disk: '/tmp/own', volume: '/volume' }
const buildFiles = 'scripts/environments/guest.mjs'
const uidOf = (place) =>
  place.engine === 'host'
    ? hostUsers[place.user]
    : (place.volumeUid ?? Number(/^\d+/.exec(place.options?.[place.options.indexOf('--user') + 1] ?? '')?.[0] ?? 0))

/** The command line of an engine: $ENVIRONMENTS_DOCKER, $ENVIRONMENTS_PODMAN, words with blanks between; else its name. */
export function engineCommand(engine) {
  return (process.env[`ENVIRONMENTS_${engine.toUpperCase()}`] ?? engine).split(' ')
}

/** Why a place cannot be started here, if so. */
export function whyNot({ engine }) {
  if (engine === 'host') return process.getuid() === 0 ? undefined : 'needs root, to become each user'
  const [program, ...args] = engineCommand(engine)
  const { status, error, stderr } = spawnSync(program, [...args, 'info'], { encoding: 'utf8', timeout: 60_000 })
  if (status === 0) return undefined
  return `${engine} does not answer: ${error?.message ?? stderr.split('\n').find((line) => line !== '')}`
}

/**
 * Runs the guest to its end, at most `timeoutMs` long, and returns what it told and its standard error.
 * @param guest path in the payload; without it the files are built
 * @param words what it is called with, of name and directory of each store; such a guest is alone: below a process that
 *   reaps, and on a host in pid, network and control groups of its own
 * @param onlyFiles names of files in the place of all that are wanted
 * @param onReport called with each object that the guest tells
 */
export async function runPlace(place, { payload, workDirectory, timeoutMs, onReport, ...more }) {
  const volume = mkdtempSync(join(workDirectory, `volume-`))
  chownSync(volume, uidOf(place), uidOf(place))
  chmodSync(volume, 0o755)
  const name = `${basename(workDirectory)}-${basename(volume)}-${place.name}`
  const stores =
    place.engine === 'host' ? [['disk', `${volume}/own`]] : more.stores.map((one) => [one, inContainer[one]])
  const guest = guestCommand(payload, stores, place.engine === 'host' ? payload : '/opt/tsbuild', more)
  const command =
    place.engine === 'host'
      ? hostCommand(place, { payload, volume, guest, isAlone: more.guest !== undefined })
      : containerCommand(place, { name, payload, volume, guest, image: more.image, onlyFiles: more.onlyFiles })
  try {
    return await follow(command, timeoutMs, onReport, () => {
      if (place.engine !== 'host') spawnSync(...splitCommand([...engineCommand(place.engine), 'rm', '-f', name]))
    })
  } finally {
    rmSync(volume, { recursive: true, force: true, maxRetries: 3 })
  }
}

function guestCommand(payload, stores, seenAs, { guest = buildFiles, words = storeWords }) {
  return [join(seenAs, 'bin/node'), join(seenAs, guest), ...words(stores)]
}

function storeWords(stores) {
  return stores.map(([name, directory]) => `${name}=${directory}`)
}

/** Whatever ends without a parent is reaped by the shell, which waits for the last of the guest alone. */
const reap = ['sh', '-c', '"$@"; exit $?', 'sh']

function containerCommand({ engine, options = [] }, { name, payload, volume, guest, image, onlyFiles }) {
  const mounts = ['-v', `${payload}:/opt/tsbuild:ro`, '-v', `${volume}:/volume`]
  const named = onlyFiles === undefined ? forwarded() : [['ENVIRONMENTS_FILES', onlyFiles]]
  const environment = named.flatMap(([key, value]) => ['-e', `${key}=${value}`])
  const run = ['run', '--rm', '--name', name, '--network', 'none', ...mounts, ...environment, ...options, image]
  return [...engineCommand(engine), ...run, ...reap, ...guest]
}

const alone = `group=guest-$$
for all in /sys/fs/cgroup/pids /sys/fs/cgroup/devices /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ ! -w $all/cgroup.procs ] || { mkdir $all/$group && echo $$ > $all/$group/cgroup.procs; }
done
unshare -m -p -n -f --mount-proc --kill-child sh -c 'ip link set lo up; "$@"; exit $?' sh "$@"
status=$?
for all in /sys/fs/cgroup/pids /sys/fs/cgroup/devices /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ ! -w $all/cgroup.procs ] || { echo $$ > $all/cgroup.procs; rmdir $all/$group/* $all/$group 2>/dev/null; }
done
exit $status`

/** In a mount namespace of its own, where /etc/subuid and /etc/subgid name the user that shall have ids, or nobody. */
function hostCommand({ user }, { payload, volume, guest, isAlone }) {
  const wrapper = isAlone ? ['sh', '-c', alone, 'sh'] : []
  if (user === 'root') return [...wrapper, ...guest]
  const uid = hostUsers[user]
  const subids = `${payload}/subids-${user}`
  writeFileSync(subids, user === 'subordinate' ? 'nobody:300000:65536\n' : '')
  const lines = [
    'set -e',
    ...['/etc/subuid', '/etc/subgid'].filter(existsSync).map((file) => `mount --bind ${subids} ${file}`),
    `export HOME=${volume}`,
    `exec setpriv --reuid=${uid} --regid=${uid} --clear-groups "$@"`,
  ]
  return [...wrapper, 'unshare', '-m', 'sh', '-c', lines.join('\n'), 'sh', ...guest]
}

function forwarded() {
  return Object.entries(process.env).filter(([key]) => key.startsWith('ENVIRONMENTS_FILE'))
}

function follow(command, timeoutMs, onReport, end) {
  const [program, args] = splitCommand(command)
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let rest = ''
  let complaint = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) if (line.startsWith('{')) onReport(JSON.parse(line))
  })
  child.stderr.setEncoding('utf8').on('data', (text) => (complaint = (complaint + text).slice(-8000)))
  return new Promise((resolve) => {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      end()
      kill(child.pid)
    }, timeoutMs)
    child.once('error', (error) => (complaint += error.message))
    child.once('close', (status, signal) => {
      clearTimeout(timer)
      resolve({ status: isLate ? 'too late' : (status ?? signal), complaint: complaint.trim() })
    })
  })
}

function kill(pid) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

function splitCommand([program, ...args]) {
  return [program, args]
}
