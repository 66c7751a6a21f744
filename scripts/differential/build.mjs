// Builds one context with one builder and tells how it ended.
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { readLayout } from './layout.mjs'

/** The command of BuildKit: Docker's, in another mount namespace when PEERS_NS names one. */
export function defaultBuildkitCommand(environment = process.env) {
  const namespace = environment['PEERS_NS']
  const docker = ['env', 'BUILDX_NO_DEFAULT_ATTESTATIONS=1']
  if (namespace === undefined) return [...docker, 'docker', 'buildx', 'build']
  const host = environment['PEERS_DOCKER_HOST'] ?? 'unix:///run/docker-c8d.sock'
  return [
    'nsenter',
    `--mount=${namespace}`,
    '--wdns=/',
    '--',
    ...docker,
    `DOCKER_HOST=${host}`,
    'docker',
    'buildx',
    'build',
  ]
}

/** `{ok: true, image}` or `{ok: false, error, log}`; `error` is the last line that says ERROR, without what is said before. */
export async function buildImage(command, context, layout, environment = {}) {
  const archive = `${layout}.tar`
  const argv = [...command, '--progress=plain', '--no-cache', '-o', `type=oci,dest=${archive}`, context]
  const { status, output } = await run(argv, { ...process.env, ...environment })
  if (status !== 0) return { ok: false, error: errorOf(output), log: output }
  mkdirSync(layout, { recursive: true })
  await run(['tar', '-xf', archive, '-C', layout], process.env)
  rmSync(archive)
  try {
    return { ok: true, image: readLayout(layout) }
  } finally {
    rmSync(layout, { recursive: true })
  }
}

function errorOf(output) {
  const line =
    output.split('\n').findLast((text) => text.startsWith('ERROR: ')) ?? output.trim().split('\n').at(-1) ?? ''
  return line.replace(/^ERROR: (?:failed to build: )?(?:failed to solve: )?(?:failed to run Build function: )?/, '')
}

const TIMEOUT_MS = 120_000

/** Runs a command to its end, for two minutes at most; both streams as one text. */
export function run([executable, ...args], env) {
  return new Promise((resolve, reject) => {
    const child = spawn(executable, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS })
    const chunks = []
    child.stdout.on('data', (chunk) => chunks.push(chunk))
    child.stderr.on('data', (chunk) => chunks.push(chunk))
    child.on('error', reject)
    child.on('close', (status) => resolve({ status: status ?? 1, output: Buffer.concat(chunks).toString('utf8') }))
  })
}
