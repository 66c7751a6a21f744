// Whole builds (pull, RUN, COPY, ADD, cache mounts, every output), killed at random: the build, or any process below it.
// seconds: 600
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { makeBuildWorld, problemsOfStore, source, testing } from './parts/world.mjs'

const { checkTool, descendantsOf, listProcesses, mountsNaming, until } = testing
const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 100)
const endMs = Date.now() + Number(process.env['FAULT_SECONDS'] ?? 600) * 1000
const DOCKERFILE = `FROM $BASE AS one
RUN mkdir /w && for i in 1 2 3 4 5; do head -c 300000 /dev/zero > /w/$i; done && touch -d @1 /w/* /w
FROM $BASE AS two
COPY data /data
ADD archive.tar /
RUN --mount=type=cache,target=/c --mount=type=cache,id=l,sharing=locked,target=/l --mount=type=bind,from=one,source=/w,target=/m cat /m/* > /sum && touch -d @1 /sum && touch /c/seen /l/seen
FROM two
COPY --from=one /w /w
COPY data /again
RUN (sleep 0.1; true) && cat /w/1 > /last && touch -d @1 /last && rm /data
`
const SINGLE_FILES = ['oci', 'docker', 'tar']

const VICTIMS = [
  { name: 'the build', isIt: (command) => command === 'build' },
  { name: 'the executor', isIt: (command) => command.startsWith('ts-oci-executor') },
  { name: 'file jobs', isIt: (command) => command.includes('job-child'), needsPull: true },
  { name: 'a step', isIt: (command) => /^(init|\/bin\/sh|sh)\b/.test(command), withinMs: 60 },
]

await using world = await makeBuildWorld()
const context = await world.context('app', {
  Dockerfile: DOCKERFILE,
  data: Buffer.alloc(2_000_000, 7),
  unpacked: 'unpacked\n',
})
await checkTool('tar', ['--mtime=@1', '--sort=name', '-cf', 'archive.tar', 'unpacked'], { cwd: context })
const out = world.directory.join('out')
const outputs = [
  ...SINGLE_FILES.map((type) => ({ type, dest: join(out, `${type}.tar`) })),
  { type: 'local', dest: join(out, 'local') },
  { type: 'image', name: `${world.base.split('/')[0]}/killed:1`, push: true },
]
const options = { context, tags: ['app'], sourceDateEpoch: 1, outputs }
const problems = []
const kills = new Map()
/** Every process that was seen below a build. */
const ours = new Set()

mkdirSync(out)
const undisturbed = await world.build(context, { ...options, store: world.directory.join('undisturbed') })
const expected = new Map(SINGLE_FILES.map((type) => [type, digestOf(join(out, `${type}.tar`))]))
rmSync(world.directory.join('undisturbed'), { recursive: true })

let round = 0
for (; round < ROUNDS && Date.now() < endMs; round++) await disturb(round)
await check('at the end', { noCache: true })
console.log(`${round} rounds, killed: ${JSON.stringify(Object.fromEntries(kills))}`)
for (const problem of problems) console.log(problem)
process.exitCode = problems.length === 0 ? 0 : 1

async function disturb(number) {
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out)
  const { name, isIt, needsPull, withinMs = 700 } = VICTIMS[number % VICTIMS.length]
  // Unpacking a base is what the process for file jobs is started for.
  if (needsPull || number % 8 === 0) rmSync(world.store, { recursive: true, force: true })
  const child = start({ store: world.store, noCache: true })
  const exited = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), exited])
  const victim = await findVictim(child, isIt, withinMs)
  try {
    process.kill(victim?.pid ?? child.pid, 'SIGKILL')
    kills.set(name, (kills.get(name) ?? 0) + 1)
  } catch {
    // It has ended by itself.
  }
  await exited
  const where = `round ${number}, ${name}`
  await until(() => remains().length === 0, 5000, remains).catch((error) => problems.push(`${where}: ${error.message}`))
  // Whatever bears the name of a file is that file, whole.
  for (const [type, digest] of expected) {
    const path = join(out, `${type}.tar`)
    if (existsSync(path) && digestOf(path) !== digest) problems.push(`${where}: half of ${type}.tar has its name`)
  }
  await check(where, {})
  problems.push(...leftCgroups().map((name) => `${where}: the cgroup ${name} stays after the next build`))
}

/** At some moment of its life; undefined when there was none of its kind. */
async function findVictim(child, isIt, withinMs) {
  for (let found; child.exitCode === null && child.signalCode === null; await delay(5)) {
    const family = [{ pid: child.pid, command: 'build' }, ...descendantsOf(child.pid)]
    for (const { pid } of family) ours.add(pid)
    found = family.filter(({ command }) => isIt(command))
    if (found.length === 0) continue
    await delay(Math.random() * withinMs)
    return found[Math.floor(Math.random() * found.length)]
  }
  return undefined
}

function start(more) {
  const script = source('packages/builder/src/api/build-process.test.helper.ts')
  const flags = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning']
  return spawn(process.execPath, [...flags, script, JSON.stringify({ ...options, ...more })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** The next build has the same result, and the store is whole. */
async function check(where, more) {
  try {
    const result = await world.build(context, { ...options, ...more })
    if (result.configDigest !== undisturbed.configDigest) problems.push(`${where}: then another image`)
    for (const [type, digest] of expected)
      if (digestOf(join(out, `${type}.tar`)) !== digest) problems.push(`${where}: then another ${type}.tar`)
    problems.push(...(await problemsOfStore(world.store)).map((problem) => `${where}: ${problem}`))
  } catch (error) {
    problems.push(`${where}: then ${error.code ?? ''} ${error.message}`)
  }
}

function remains() {
  const own = world.directory.path
  return [
    ...listProcesses().filter(({ command, pid }) => {
      return pid !== process.pid && command.includes(own) && !command.includes('docker-registry')
    }),
    ...mountsNaming(world.store),
  ]
}

/** Of executors of ours: a kill leaves them, empty, and the next start sweeps them. */
function leftCgroups() {
  return ['/sys/fs/cgroup', '/sys/fs/cgroup/devices', '/sys/fs/cgroup/unified'].flatMap((path) =>
    existsSync(path)
      ? readdirSync(path).filter((name) => ours.has(Number(/^(?:tsbuild|ts-oci-devices)-(\d+)-/.exec(name)?.[1])))
      : [],
  )
}

function digestOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
