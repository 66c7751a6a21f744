// Inside a place: asks `tsbuild info`, then builds every file with the store where the arguments say (`NAME=DIRECTORY`),
// and tells one JSON object a line.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { files } from './files.mjs'
import { readTar } from './read-tar.mjs'

const payload = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const command = join(payload, 'packages/cli/bin/run.js')
const onlyFiles = process.env['ENVIRONMENTS_FILES']?.split(' ')
const fileMs = Number(process.env['ENVIRONMENTS_FILE_SECONDS'] ?? 180) * 1000

for (const argument of process.argv.slice(2)) {
  const [name, directory] = argument.split('=')
  mkdirSync(directory, { recursive: true })
  const store = join(directory, 'store')
  say({ store: name, info: askInfo(store) })
  for (const [file, expected] of Object.entries(files))
    if (onlyFiles?.includes(file) ?? true) say({ store: name, file, ...build(file, expected, directory, store) })
  tsbuild(['prune', '-a', '-f', '--store', store])
  rmSync(store, { recursive: true, force: true, maxRetries: 3 })
}

function askInfo(store) {
  const { status, stdout, stderr } = tsbuild(['info', '--format', 'json', '--store', store])
  return status === 0 ? JSON.parse(stdout) : { error: firstError(stderr) }
}

function build(file, { context, entries }, directory, store) {
  const output = join(directory, `${file}.tar`)
  const base = [
    '--build-arg',
    'BASE=environments',
    '--build-context',
    `environments=oci-layout://${join(payload, 'base')}`,
  ]
  const args = ['build', '--store', store, '--progress', 'plain', ...base, '-o', `type=tar,dest=${output}`]
  const started = Date.now()
  const { status, signal, stderr } = tsbuild([...args, join(payload, context)])
  const seconds = (Date.now() - started) / 1000
  try {
    if (status !== 0) {
      const code = /^ {2}code: (\S+)$/m.exec(stderr)?.[1] ?? (signal === null ? `status ${status}` : signal)
      return { seconds, code, error: firstError(stderr), output: stderr.slice(-8000) }
    }
    const wrong = compare(entries, readTar(output))
    return wrong.length === 0 ? { seconds } : { seconds, code: 'image', error: wrong.join('; ') }
  } finally {
    rmSync(output, { force: true })
  }
}

function compare(expected, found) {
  return Object.entries(expected).flatMap(([path, facts]) => {
    const entry = found.get(path)
    if (entry === undefined) return [`${path} is not in the image`]
    return Object.entries(facts)
      .filter(([name, value]) => entry[name] !== value)
      .map(([name, value]) => `${name} of ${path} is ${entry[name]}, not ${value}`)
  })
}

function tsbuild(args) {
  const env = { ...process.env, HOME: process.env['HOME'] ?? '/' }
  return spawnSync(process.execPath, [command, ...args], {
    encoding: 'utf8',
    env,
    timeout: fileMs,
    killSignal: 'SIGKILL',
    maxBuffer: 64 << 20,
  })
}

/** Without a step's own words before it: those stand in the output. */
function firstError(text) {
  const lines = text.split('\n')
  return (
    lines.find((line) => line.startsWith('ERROR: '))?.slice('ERROR: '.length) ?? lines.findLast((line) => line !== '')
  )
}

function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}
