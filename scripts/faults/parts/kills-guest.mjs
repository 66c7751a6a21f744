// Inside a place: builds, kills at random, and looks at what is left and at what the next build makes. Tells one JSON object a line.
// Argument: JSON of { directory, seed, rounds, seconds, isContainer }.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SECRET, writeContexts } from './kills-graph.mjs'
import { processes, processesOfBuilds, readPlace } from './kills-remains.mjs'
import { startServers } from './kills-servers.mjs'

const payload = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
const { directory, seed, rounds, seconds, isContainer } = JSON.parse(process.argv[2])
/** Of a process that was killed, until the last of its build is gone. */
const GONE_MS = 5000
/** Of a build at all: one that takes so long waits for something that never comes. */
const HUNG_MS = 60_000
const endMs = Date.now() + seconds * 1000
const random = generator(seed)
const kills = {}
/** Of processes that a build was seen to have. */
const kinds = new Set()
const problems = []

mkdirSync(join(directory, 'temporary'), { recursive: true })
const secret = join(directory, 'secret')
writeFileSync(secret, SECRET)
const servers = await startServers(directory)
const contexts = writeContexts(directory, servers)
const baseline = new Set(processes().map(({ pid }) => pid))
const ofBuilds = () => processesOfBuilds(baseline, process.pid)
const store = join(directory, 'store')
const place = new Set(readPlace(directory, isContainer))
const outcome = await main()
servers.stop()
say({ ...outcome, kills, problems, missing: servers.missing })

async function main() {
  await must(build('seed', []))
  const undisturbed = await must(buildApp([]))
  // As most builds of the trial are: with a base that is there.
  const { ms: quietMs } = await must(buildApp(['--no-cache', '--keep-cache-mounts']))
  const { ms: otherMs } = await must(build('other', ['--no-cache']))
  const expected = undisturbed.digests
  let round = 0
  for (let hits = 0; hits < rounds && Date.now() < endMs && problems.length < 20; round++) {
    const where = `round ${round}`
    const known = problems.length
    const what = await disturb(round, expected, undisturbed.ms, quietMs)
    // What had ended already is no kill.
    if (what !== 'too late') hits++
    const complain = (text) => problems.push(`${where}, ${what}: ${text}`)
    for (const text of await remains()) complain(text)
    await compareNext(expected, otherMs, complain)
    say({ round, what, problems: problems.slice(known), seconds: Math.round((Date.now() - endMs) / 1000) + seconds })
  }
  const left = await emptied()
  problems.push(...left.map((name) => `at the end, after prune: ${name}`))
  return { rounds: round, quietMs, otherMs }
}

/** Kills once; what it was. */
async function disturb(round, expected, firstMs, quietMs) {
  const isFirst = round % 8 === 7
  // The base is unpacked anew; the cache that every build reads has to be there.
  if (isFirst) {
    await removeStore()
    await must(build('seed', []))
  }
  const running = buildApp(['--no-cache', '--keep-cache-mounts'])
  const what = await kill(running, isFirst ? firstMs : quietMs)
  kills[what] = (kills[what] ?? 0) + 1
  const { status, digests, output, ms } = await running.done
  if (ms >= HUNG_MS) problems.push(`round ${round}, ${what}: hung: ${output.slice(-2000)}`)
  if (status === 0)
    compareDigests(expected, digests, (text) => problems.push(`round ${round}, ${what}, not killed: ${text}`))
  return what
}

/** A third of the times whatever runs at a random moment, else a process of a kind that was seen before, in its first moments. */
async function kill(running, usualMs) {
  const how = random()
  if (how < 0.35 || kinds.size === 0) await Promise.race([delay(random() * usualMs), running.done])
  else {
    const wanted = [...kinds][Math.floor(random() * kinds.size)]
    while (!running.isOver() && !family().some(({ kind }) => kind === wanted)) await delay(1)
    await delay(random() ** 2 * 40)
    const found = family().find(({ kind }) => kind === wanted)
    if (found !== undefined) return hit(found)
  }
  if (how < 0.06) return hit({ kind: 'the process group', pid: -running.pid })
  if (how < 0.12) return hitAll()
  const all = family()
  const some = [...new Set(all.map(({ kind }) => kind))]
  const chosen = some[Math.floor(random() * some.length)]
  const candidates = all.filter(({ kind }) => kind === chosen)
  return hit(candidates[Math.floor(random() * candidates.length)])

  function hitAll() {
    const all = family()
    for (const { pid } of all) hit({ pid, kind: '' })
    return all.length === 0 ? 'too late' : 'all at once'
  }
}

function hit(victim) {
  try {
    if (victim !== undefined) process.kill(victim.pid, 'SIGKILL')
    return victim?.kind ?? 'too late'
  } catch {
    return 'too late'
  }
}

function family() {
  const all = ofBuilds().map((one) => ({ ...one, kind: kindOf(one) }))
  for (const { kind } of all) kinds.add(kind)
  return all
}

function kindOf({ comm, command }) {
  if (command.includes('run.js')) return 'the build'
  if (command.includes('job-child')) return 'file jobs'
  if (command.startsWith('git')) return 'git'
  return (
    /^\/proc\/self\/exe|ts-oci|guard|supervisor|sentinel|stand-by|keeper/.exec(comm)?.[0] ??
    (comm.startsWith('ssh') ? 'ssh' : isStep(command) ? 'a step' : comm)
  )
}

function isStep(command) {
  return /^(\/bin\/|sh |usleep|sleep|find|cat|md5sum|head|cp|date|adduser)/.test(command)
}

/** What there still is once nothing may run. */
async function remains() {
  for (const until = Date.now() + GONE_MS; ; await delay(10)) {
    const left = ofBuilds()
    const mounts = readPlace(directory, isContainer).filter((line) => line.startsWith('mount ') && !place.has(line))
    if (left.length + mounts.length === 0) return []
    if (Date.now() < until) continue
    for (const { pid } of left) hit({ pid })
    return [...left.map(({ comm, command }) => `the process ${comm} (${command}) stays`), ...mounts]
  }
}

/** The same again, beside another graph that has nothing in common with it; and what they have to sweep. */
async function compareNext(expected, otherMs, complain) {
  const next = buildApp([])
  const other = build('other', ['--no-cache'])
  const [one, two] = await Promise.all([next.done, other.done])
  if (one.status !== 0) complain(`the next build fails: ${one.output.slice(-3000)}`)
  else compareDigests(expected, one.digests, complain)
  if (two.status !== 0) complain(`another graph fails: ${two.output.slice(-3000)}`)
  if (two.ms > Math.max(5000, otherMs * 20)) complain(`another graph took ${two.ms} ms, alone ${otherMs}`)
  for (const line of readPlace(directory, isContainer))
    if (!place.has(line)) complain(`${line} stays after the next build`)
  for (const name of readdirSync(join(store, 'tmp'))) complain(`tmp/${name} stays after the next build`)
  for (const name of readdirSync(join(store, 'run', 'executor'))) complain(`run/executor/${name} stays`)
  for (const path of holding(SECRET)) complain(`${path} holds the secret`)
}

function compareDigests(expected, digests, complain) {
  for (const [name, digest] of Object.entries(expected))
    if (digests[name] !== digest) complain(`${name} is ${digests[name]}, undisturbed ${digest}`)
}

function holding(text) {
  const { stdout } = spawnSync('grep', ['-rlF', '-D', 'skip', '--', text, store], { encoding: 'utf8' })
  return stdout.split('\n').filter((path) => path !== '')
}

/** Everything is removed; what is left then nobody knows of. */
async function emptied() {
  const { output } = await must(tsbuild(['images', '-q', '--no-trunc', '--store', store]))
  await must(tsbuild(['rmi', '-f', '--store', store, ...new Set(output.trim().split('\n'))]))
  await must(tsbuild(['prune', '-a', '-f', '--store', store]))
  return ['snapshots', 'tables', 'blobs/sha256', 'tmp', 'cache-mounts'].flatMap((name) =>
    readdirSync(join(store, name)).map((file) => `${name}/${file}`),
  )
}

/** Trees have owners that only a build may be able to remove. */
async function removeStore() {
  await must(tsbuild(['prune', '-a', '-f', '--store', store]))
  rmSync(store, { recursive: true, force: true, maxRetries: 3 })
}

function buildApp(more) {
  const file = join(directory, 'app.tar')
  rmSync(file, { force: true })
  const metadata = join(directory, 'metadata.json')
  rmSync(metadata, { force: true })
  const { registry, agent } = servers
  const outputs = [`type=oci,dest=${file},rewrite-timestamp=true`]
  if (registry !== undefined) outputs.push(`type=image,name=${registry}/killed:1,push=true,rewrite-timestamp=true`)
  const words = [
    ...more,
    ...outputs.flatMap((output) => ['-o', output]),
    '--secret',
    `id=s,src=${secret}`,
    '--metadata-file',
    metadata,
    ...(agent === undefined ? [] : ['--ssh', `default=${agent}`]),
  ]
  const running = build('app', words)
  return {
    ...running,
    done: running.done.then((end) => ({
      ...end,
      digests: {
        'app.tar': existsSync(file) && createHash('sha256').update(readFileSync(file)).digest('hex'),
        image: existsSync(metadata) && JSON.parse(readFileSync(metadata, 'utf8'))['containerimage.digest'],
      },
    })),
  }
}

function build(context, words) {
  const base = ['--build-context', `base=oci-layout://${join(payload, 'base')}`]
  return tsbuild([
    'build',
    '--store',
    store,
    '--source-date-epoch',
    '1',
    '--progress',
    'plain',
    ...base,
    ...words,
    contexts[context],
  ])
}

function tsbuild(words) {
  const started = Date.now()
  const child = spawn(process.execPath, [join(payload, 'packages/cli/bin/run.js'), ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, as a shell gives it.
    detached: true,
    env: { ...process.env, HOME: directory, TMPDIR: join(directory, 'temporary') },
  })
  let output = ''
  let end
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  const timer = setTimeout(() => hit({ pid: -Number(child.pid) }), HUNG_MS)
  const done = new Promise((resolve) => {
    // Not `close`: what a kill leaves may hold the pipes, and is looked for afterwards.
    child.once('exit', (status, signal) => {
      clearTimeout(timer)
      resolve((end = { status: status ?? signal, ms: Date.now() - started, output, words }))
    })
  })
  return { pid: child.pid, done: done.then((all) => ({ ...all, output })), isOver: () => end !== undefined }
}

async function must({ done }) {
  const end = await done
  if (end.status === 0) return end
  say({ problems: [`undisturbed: ${end.words.join(' ')}: ${end.status}: ${end.output.slice(-3000)}`] })
  servers.stop()
  process.exit(1)
}

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
function generator(from) {
  let state = from | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}
