// What every command of the root needs first: the npm packages of the lock file, the compiled packages, a modern Node.
// Runs on Node 20 with no package installed.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')

/** The Node that npm installed for this machine; the one that runs this script where there is none. */
export function nodeBinary() {
  const installed = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')
  return existsSync(installed) ? installed : process.execPath
}

/** Runs a command with the terminal of this process; resolves to its exit status, 128 + signal when it was killed. */
export function run(command, args, options = {}) {
  return new Promise((resolvePromise, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options })
    child.on('error', reject)
    child.on('exit', (code, signal) => resolvePromise(code ?? 128 + (signal === 'SIGINT' ? 2 : 15)))
  })
}

/** Installs the npm packages, only when what is installed is not what the lock file says. */
export async function installPackages() {
  const difference = firstDifference()
  if (difference === undefined) return
  const wanted = packagesOf(join(root, 'package-lock.json'))
  step(`npm ci (${difference}): ${wanted.length} packages from the npm registry, one to two minutes`)
  const status = await telling(
    () =>
      `${wanted.filter((path) => existsSync(join(root, path, 'package.json'))).length} of ${wanted.length} packages are there`,
    () => run('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], { stdio: ['ignore', 'ignore', 'inherit'] }),
  )
  if (status !== 0) stop('npm ci failed', 'the npm registry must be reachable; see the lines above')
}

/** Compiles TypeScript and the native parts of all packages. */
export async function compile() {
  step('build: TypeScript and native parts (half a minute; what is compiled already takes none)')
  const turbo = join(root, 'node_modules', '.bin', 'turbo')
  const env = { ...environment(), TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1' }
  const status = await telling(
    () => 'still compiling',
    () =>
      run(turbo, ['run', 'build', '--output-logs=errors-only', '--log-prefix=none'], {
        env,
        stdio: ['ignore', process.env['TS_OCI_VERBOSE'] ? 'inherit' : 'ignore', 'inherit'],
      }),
  )
  if (status === 0) return
  // turbo's own words are noise when it works and needed when it does not.
  await run(turbo, ['run', 'build', '--output-logs=new-only', '--log-prefix=none'], { env })
  stop('the build failed')
}

/** Says every few seconds how far a silent piece of work is. */
export async function telling(progress, work, everyMs = 5000) {
  const startedMs = Date.now()
  const timer = setInterval(() => {
    console.log(`    ${Math.round((Date.now() - startedMs) / 1000)} s: ${progress()}`)
  }, everyMs)
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}

/** The folders that an install of the lock file makes on this machine, the optional ones of others aside. */
function packagesOf(lockFile) {
  const { packages } = JSON.parse(readFileSync(lockFile, 'utf8'))
  const isForHere = ({ os, cpu, libc }) =>
    (os?.includes('linux') ?? true) && (cpu?.includes(process.arch) ?? true) && (libc?.includes('glibc') ?? true)
  return Object.entries(packages).flatMap(([path, entry]) =>
    path.includes('node_modules') && isForHere(entry) ? [path] : [],
  )
}

/** The environment of children: the installed Node first in PATH. */
export function environment() {
  const bin = join(root, 'node_modules', '.bin')
  return { ...process.env, PATH: `${dirname(nodeBinary())}:${bin}:${process.env['PATH'] ?? ''}` }
}

export function step(text) {
  console.log(`\n==> ${text}`)
}

export function stop(message, hint) {
  console.error(`error: ${message}`)
  if (hint) console.error(`  hint: ${hint}`)
  process.exit(1)
}

/** What npm wrote about the last install, compared entry by entry: independent of file times and of who installed. */
function firstDifference() {
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const hidden = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(hidden)) return 'nothing is installed'
  const installed = JSON.parse(readFileSync(hidden, 'utf8')).packages
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || !path.includes('node_modules')) continue
    const have = installed[path]
    if (have === undefined && (entry.optional || entry.devOptional)) continue
    if (have === undefined || have.version !== entry.version) return `${path} is not as the lock file says`
    if (!entry.link && !existsSync(join(root, path))) return `${path} is missing`
  }
  for (const path of Object.keys(installed)) {
    if (path.includes('node_modules') && wanted[path] === undefined) return `${path} is not in the lock file`
  }
  return undefined
}
