// What the builds of the trial `kills` speak to, on the loopback of their place. A program that the place lacks is left out.
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { makeRepository } from './kills-graph.mjs'

const hasProgram = (name) => spawnSync('sh', ['-c', `command -v ${name}`], { env: { PATH: withSbin() } }).status === 0

/** Starts what there is below `directory`. */
export async function startServers(directory) {
  const started = []
  const missing = []
  const start = async (name, begin) => {
    if (!hasProgram(name)) return void missing.push(name)
    const port = await freePort()
    const { child, ...rest } = begin(port)
    started.push(child)
    if (!(await answers(port, child))) throw new Error(`${name} did not start`)
    return rest
  }
  const repository = join(directory, 'repository.git')
  if (hasProgram('git')) makeRepository(repository)
  const registry = await start('docker-registry', (port) => ({
    child: startRegistry(directory, port),
    host: `127.0.0.1:${port}`,
  }))
  const git = await start('git', (port) => ({
    child: startGit(directory, port),
    url: `git://127.0.0.1:${port}/repository.git`,
  }))
  const agent = hasProgram('ssh-agent') && isKnownUser() ? startAgent(directory) : void missing.push('ssh-agent')
  if (agent !== undefined) started.push(agent.child)
  const ssh =
    process.getuid() === 0 && agent !== undefined && git !== undefined
      ? await start('sshd', (port) => ({
          child: startSshd(directory, port),
          url: `ssh://root@127.0.0.1:${port}${repository}`,
        }))
      : void missing.push('sshd')
  return { registry: registry?.host, git: git?.url, ssh: ssh?.url, agent: agent?.socket, missing, stop }

  function stop() {
    for (const child of started) child.kill('SIGKILL')
  }
}

function startRegistry(directory, port) {
  const config = join(directory, 'registry.yml')
  const storage = join(directory, 'registry')
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${storage}}, delete: {enabled: true}}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
  )
  return run('docker-registry', ['serve', config])
}

function startGit(directory, port) {
  const words = [
    'daemon',
    '--export-all',
    `--base-path=${directory}`,
    '--listen=127.0.0.1',
    `--port=${port}`,
    directory,
  ]
  return run('git', words, {
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  })
}

function startAgent(directory) {
  const socket = join(directory, 'agent')
  const key = join(directory, 'key')
  must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const child = run('ssh-agent', ['-D', '-a', socket])
  for (let tries = 0; ; tries++) {
    const { status, stderr } = spawnSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } })
    if (status === 0) return { child, socket }
    if (tries === 50) throw new Error(`ssh-add: ${stderr.toString()}`)
    spawnSync('sleep', ['0.1'])
  }
}

function startSshd(directory, port) {
  const hostKey = join(directory, 'host-key')
  must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey])
  mkdirSync('/run/sshd', { recursive: true })
  const options = {
    ListenAddress: `127.0.0.1:${port}`,
    HostKey: hostKey,
    AuthorizedKeysFile: join(directory, 'key.pub'),
    StrictModes: 'no',
    PidFile: 'none',
    UsePAM: 'no',
  }
  // sshd begins itself again for each connection, by the name with which it was called.
  const words = [
    '-D',
    '-e',
    '-f',
    '/dev/null',
    ...Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]),
  ]
  return run('/usr/sbin/sshd', words)
}

function run(program, words, env = {}) {
  return spawn(program, words, {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { ...process.env, PATH: withSbin(), OTEL_TRACES_EXPORTER: 'none', ...env },
  }).on('error', () => {})
}

function must(program, words) {
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program}: ${stderr}`)
}

/** ssh and its kin refuse to work for an id without a name. */
function isKnownUser() {
  return spawnSync('whoami').status === 0
}

function withSbin() {
  return [process.env['PATH'], '/usr/sbin', '/sbin'].join(delimiter)
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answers(port, child) {
  for (let tries = 0; tries < 100 && child.exitCode === null; tries++, await delay(50)) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (isOpen) return true
  }
  return false
}
