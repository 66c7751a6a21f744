// Starts a place and runs guest.mjs in it.
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** An id that has a name and gets subordinate ones, and one that has neither. */
const hostUsers = { root: 0, subordinate: 65_534, single: 12_345 }
const inContainer = { disk: 'disk=/tmp/own', volume: 'volume=/volume' }
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
 * @param onReport called with each object that the guest tells
 */
export async function runPlace(place, { stores, payload, workDirectory, image, timeoutMs, onReport }) {
  const volume = mkdtempSync(join(workDirectory, `volume-`))
  chownSync(volume, uidOf(place), uidOf(place))
  chmodSync(volume, 0o755)
  const name = `${basename(workDirectory)}-${place.name}`
  const command =
    place.engine === 'host'
      ? hostCommand(place, payload, volume)
      : containerCommand(place, { stores, name, payload, volume, image })
  try {
    return await follow(command, timeoutMs, onReport, () => {
      if (place.engine !== 'host') spawnSync(...splitCommand([...engineCommand(place.engine), 'rm', '-f', name]))
    })
  } finally {
    rmSync(volume, { recursive: true, force: true, maxRetries: 3 })
  }
}

function containerCommand({ engine, options = [] }, { stores, name, payload, volume, image }) {
  const mounts = ['-v', `${payload}:/opt/tsbuild:ro`, '-v', `${volume}:/volume`]
  const environment = forwarded().flatMap(([key, value]) => ['-e', `${key}=${value}`])
  const run = ['run', '--rm', '--name', name, '--network', 'none', ...mounts, ...environment, ...options, image]
  const guest = ['/opt/tsbuild/bin/node', '/opt/tsbuild/scripts/environments/guest.mjs']
  return [...engineCommand(engine), ...run, ...guest, ...stores.map((store) => inContainer[store])]
}

/** In a mount namespace of its own, where /etc/subuid and /etc/subgid name the user that shall have ids, or nobody. */
function hostCommand({ user }, payload, volume) {
  const guest = [join(payload, 'bin/node'), join(payload, 'scripts/environments/guest.mjs'), `disk=${volume}/own`]
  if (user === 'root') return guest
  const uid = hostUsers[user]
  const subids = `${payload}/subids-${user}`
  writeFileSync(subids, user === 'subordinate' ? 'nobody:300000:65536\n' : '')
  const lines = [
    'set -e',
    ...['/etc/subuid', '/etc/subgid'].filter(existsSync).map((file) => `mount --bind ${subids} ${file}`),
    `export HOME=${volume}`,
    `exec setpriv --reuid=${uid} --regid=${uid} --clear-groups "$@"`,
  ]
  return ['unshare', '-m', 'sh', '-c', lines.join('\n'), 'sh', ...guest]
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
