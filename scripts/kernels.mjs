// `npm run kernels [-- RELEASE...]`: boots other kernels in qemu and runs the checks of scripts/kernels/checks there, each as
// root, as a user with subordinate ids and as one without. scripts/kernels/README.md tells how to add one.
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { checksOfArm64, prepareArm64, qemuOfArm64 } from './kernels/machine/arm64.mjs'
import { boot, qemuOfX64 } from './kernels/machine/boot.mjs'
import { preparePayload } from './kernels/machine/payload.mjs'
import { releases, standard } from './kernels/machine/releases.mjs'
import { checkRequirements } from './kernels/machine/requirements.mjs'
import { prepareSystem } from './kernels/machine/system.mjs'
import { root, step, stop } from './setup.mjs'

/** From the start of one machine to its end. */
const MACHINE_SECONDS = Number(process.env['KERNELS_SECONDS'] ?? 1800)

const names = process.argv.length > 2 ? process.argv.slice(2) : standard
const known = [...Object.keys(releases), 'arm64']
const strange = names.filter((name) => !known.includes(name))
if (strange.length > 0) stop(`no such release: ${strange.join(', ')}`, `there are: ${known.join(', ')}`)
checkRequirements(names)
const wanted = wantedChecks()
const workDirectory = openWorkDirectory()

const started = Date.now()
/** name of a value → value → who had it */
const values = new Map()
const failures = []
for (const name of names) await (name === 'arm64' ? checkArm64() : checkRelease(name))
compareValues()
const seconds = Math.round((Date.now() - started) / 1000)
console.log(
  failures.length === 0 ? `\nall held in ${seconds} s` : `\nfailed in ${seconds} s:\n  ${failures.join('\n  ')}`,
)
process.exitCode = failures.length === 0 ? 0 : 1

async function checkRelease(name) {
  const system = await prepareSystem(name, workDirectory)
  const consoleLog = join(workDirectory, `${name}.log`)
  const payload = preparePayload(workDirectory, wanted)
  try {
    step(`${name}: boot (at most ${MACHINE_SECONDS} s; console: ${consoleLog})`)
    const held = await report(name, wanted, {
      program: 'qemu-system-x86_64',
      words: qemuOfX64(system, payload, consoleLog),
    })
    if (held) rmSync(consoleLog, { force: true })
    else console.log(`the console's log is kept: ${consoleLog}`)
  } finally {
    rmSync(payload, { force: true })
  }
}

async function checkArm64() {
  const checks = checksOfArm64.filter((check) => wanted.includes(check))
  const system = prepareArm64(workDirectory, checks)
  step(`arm64: boot (at most ${MACHINE_SECONDS} s)`)
  await report('arm64', checks, { program: 'qemu-system-aarch64', words: qemuOfArm64(system) })
}

/** Boots, and tells whether all held. */
async function report(name, checks, machine) {
  const told = createReport(name, checks)
  const end = await boot({ ...machine, timeoutMs: MACHINE_SECONDS * 1000, onLine: told.take })
  const before = failures.length
  failures.push(...told.failures())
  if (end !== 'off') failures.push(`${name}: ${end}`)
  return failures.length === before
}

/** Reads what guest/run-all.sh says, prints it and keeps what failed. */
function createReport(name, checks) {
  const failed = []
  const done = new Set()
  let output = []
  let running
  let isComplete = false
  const finish = (word, [check, user, took]) => {
    done.add(check)
    running = undefined
    console.log(`${word.padEnd(6)} ${check} as ${user} (${took} s)`)
    if (word === 'ok') return keepValues(output, `${name}, ${user}`)
    failed.push(`${name}: ${check} as ${user}: ${output.at(-1) ?? 'it said nothing'}`)
    for (const line of output) console.log(`         ${line}`)
  }
  const words = {
    kernel: ([release]) => console.log(`Linux ${release}`),
    run: ([check, user]) => ([running, output] = [`${check} as ${user}`, []]),
    out: (rest) => output.push(rest.join(' ')),
    ok: (rest) => finish('ok', rest),
    FAILED: (rest) => finish('FAILED', rest),
    end: () => (isComplete = true),
  }
  return {
    take(line) {
      const [word, ...rest] = line.split(' ')
      if (Object.hasOwn(words, word)) words[word](rest)
      else console.log(line)
    },
    failures() {
      const missed = checks.filter((check) => !done.has(check))
      if (!isComplete) failed.push(`${name}: ended during ${running ?? 'the boot'}; not run: ${missed.join(', ')}`)
      return failed
    },
  }
}

function keepValues(output, who) {
  for (const line of output) {
    const [word, key, ...rest] = line.split(' ')
    if (word !== 'same') continue
    const value = rest.join(' ')
    const seen = values.get(key) ?? values.set(key, new Map()).get(key)
    seen.set(value, [...(seen.get(value) ?? []), who])
  }
}

function compareValues() {
  if (values.size > 0) step('values that have to be the same everywhere')
  for (const [key, seen] of values) {
    for (const [value, who] of seen) console.log(`${key}: ${value} (${who.join('; ')})`)
    if (seen.size > 1) failures.push(`${key} differs: see above`)
  }
}

/** $KERNELS_ONLY, else all of scripts/kernels/checks. */
function wantedChecks() {
  const all = readdirSync(join(root, 'scripts/kernels/checks'))
    .filter((file) => file.endsWith('.sh'))
    .map((file) => basename(file, '.sh'))
    .toSorted()
  const only = process.env['KERNELS_ONLY']?.split(' ') ?? all
  const unknown = only.filter((check) => !all.includes(check))
  if (unknown.length > 0) stop(`no such check: ${unknown.join(', ')}`, `there are: ${all.join(', ')}`)
  return only
}

/** $TSBUILD_KERNELS_DIR: systems are kept there from one run to the next. Root boots what lies there: it is root's alone. */
function openWorkDirectory() {
  const path = process.env['TSBUILD_KERNELS_DIR'] ?? join(tmpdir(), 'tsbuild-kernels')
  if (!existsSync(path)) mkdirSync(path, { recursive: true, mode: 0o700 })
  const status = lstatSync(path)
  if (!status.isDirectory() || status.uid !== process.getuid() || (status.mode & 0o022) !== 0)
    stop(`${path} is not a directory of yours alone`, 'name another one in TSBUILD_KERNELS_DIR')
  return path
}
