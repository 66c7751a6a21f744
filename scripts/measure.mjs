// `npm run measure [-- --base IMAGE] [-- WORKLOAD…]`: times `tsbuild` on contexts that it makes, in a store of its own.
// Prints per workload the median of the wall clock, of user + system time, and the largest process. See docs/performance.md.
// `supervisor` prints what steps cost that have one user id (measure-supervisor.mjs).
// `step` prints what one more `RUN true` costs; `--against 'docker buildx build'` beside what it costs that builder.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { nodeBinary, root, stop } from './setup.mjs'

const REPEATS = 5
const { values, positionals } = parseArgs({
  options: { base: { type: 'string' }, against: { type: 'string' } },
  allowPositionals: true,
})
const base = values.base ?? 'scratch'
// These are not of the others: they take a base that fetches packages, and minutes.
if (positionals[0] === 'supervisor') {
  const { measureSupervisor } = await import('./measure-supervisor.mjs')
  measureSupervisor(base, positionals.slice(1))
  process.exit()
}
const work = mkdtempSync(join(tmpdir(), 'tsbuild-measure-'))
const store = join(work, 'store')

const workloads = [
  { name: 'copy', what: '1,000 files, 20 MB, to the store', context: copyContext(1000, 20_000), isCold: true },
  {
    name: 'copy-gzip',
    what: 'the same, to an OCI archive',
    context: copyContext(1000, 20_000),
    isCold: true,
    isExport: true,
  },
  { name: 'no-op', what: '1,000 files, everything cached', context: copyContext(1000, 20_000) },
  {
    name: 'many-gzip',
    what: '30,000 files, 60 MB, to an OCI archive',
    context: copyContext(30_000, 2000),
    isCold: true,
    isExport: true,
  },
  {
    name: 'large-gzip',
    what: '512 MiB in two files, to an OCI archive',
    context: largeContext,
    isCold: true,
    isExport: true,
  },
  ...(base === 'scratch' ? [] : [{ name: 'steps', what: '20 × RUN true', context: stepsContext, isCold: true }]),
]

const time = spawnSync('/usr/bin/time', ['--version'])
if (time.error) stop('/usr/bin/time is missing', 'install GNU time: apt-get install time')
try {
  console.log(`${'workload'.padEnd(12)}${'wall'.padStart(9)}${'cpu'.padStart(9)}${'memory'.padStart(9)}`)
  for (const workload of workloads)
    if (positionals.length === 0 || positionals.includes(workload.name)) measure(workload)
  if (base !== 'scratch' && (positionals.length === 0 || positionals.includes('step'))) measureStep()
} finally {
  tsbuild(['rmi', '-f', 'measured'])
  rmSync(work, { recursive: true, force: true })
}

function measure({ name, what, context, isCold, isExport }) {
  const directory = join(work, name)
  context(directory)
  const output = join(work, 'out.tar')
  const args = ['build', '--quiet', '-t', 'measured', ...(isExport ? ['-o', `type=oci,dest=${output}`] : []), directory]
  const runs = []
  // The first warms the caches of the disk and of compiled code.
  for (let run = 0; run <= REPEATS; run++) {
    if (isCold) tsbuild(['prune', '-af'])
    const result = timed(command(args))
    if (run > 0) runs.push(result)
    rmSync(output, { force: true })
  }
  const median = (key) => runs.map((run) => run[key]).toSorted((a, b) => a - b)[REPEATS >> 1]
  const cells = [
    `${median('wall').toFixed(2)} s`,
    `${median('cpu').toFixed(2)} s`,
    `${Math.round(median('memory'))} MB`,
  ]
  console.log(`${name.padEnd(12)}${cells.map((cell) => cell.padStart(9)).join('')}   ${what}`)
  rmSync(directory, { recursive: true })
}

/** What each of 20 more steps in a row costs: builds of 21 and of 1 take turns, so that both meet the same machine. */
function measureStep() {
  const contexts = [1, 21].map((count) => {
    const directory = join(work, `step-${count}`)
    write(join(directory, 'Dockerfile'), `FROM ${base}\n${'RUN true\n'.repeat(count)}`)
    return directory
  })
  const own = costOfStep(command(['build']), contexts)
  console.log(`step        ${milliseconds(own)}             one more RUN true`)
  if (values.against === undefined) return
  const other = costOfStep(values.against.split(' '), contexts)
  // What a builder with a daemon takes of the processor, it takes elsewhere.
  const ratio = `${values.against}: ours is ${(own.wall / other.wall).toFixed(3)} of it`
  console.log(`            ${milliseconds({ ...other, cpu: undefined })}             ${ratio}`)
}

function costOfStep([file, ...first], contexts) {
  const runs = contexts.map(() => [])
  for (let run = 0; run <= 2 * REPEATS; run++)
    for (const [index, context] of contexts.entries()) {
      const result = timed([file, ...first, '--quiet', '--no-cache', '--output', 'type=cacheonly', context])
      if (run > 0) runs[index].push(result)
    }
  const cost = (key) => {
    const [one, many] = runs.map((list) => list.map((run) => run[key]).toSorted((a, b) => a - b)[REPEATS])
    return ((many - one) / 20) * 1000
  }
  return { wall: cost('wall'), cpu: cost('cpu') }
}

function milliseconds({ wall, cpu }) {
  return [wall, cpu].map((ms) => (ms === undefined ? '' : `${ms.toFixed(1)} ms`).padStart(9)).join('')
}

/** One run of a command: seconds, and megabytes of its largest process. */
function timed(words) {
  const started = performance.now()
  const { stderr, status } = spawnSync('/usr/bin/time', ['-f', '%U %S %M', ...words], {
    encoding: 'utf8',
    env: environment(),
  })
  const wall = (performance.now() - started) / 1000
  if (status !== 0) stop(`${words.join(' ')} failed`, stderr)
  const [user, system, memory] = stderr.trim().split('\n').at(-1).split(' ').map(Number)
  return { wall, cpu: user + system, memory: memory / 1024 }
}

function command(args) {
  return [nodeBinary(), join(root, 'packages', 'cli', 'bin', 'run.js'), ...args]
}

function tsbuild(args) {
  const [file, ...rest] = command(args)
  spawnSync(file, rest, { env: environment() })
}

function environment() {
  return { ...process.env, TSBUILD_HOME: store }
}

function copyContext(count, bytes) {
  return (directory) => {
    write(join(directory, 'Dockerfile'), `FROM ${base}\nCOPY files /app\n`)
    for (let file = 0; file < count; file++)
      write(join(directory, 'files', `d${file % 50}`, `f${file}.js`), source(file, bytes))
  }
}

function largeContext(directory) {
  write(join(directory, 'Dockerfile'), `FROM ${base}\nCOPY data /data\n`)
  const noise = Buffer.alloc(256 << 20)
  for (let at = 0, seed = 1; at < noise.length; at += 4)
    noise.writeUInt32LE((seed = (seed * 1_664_525 + 1_013_904_223) >>> 0), at)
  write(join(directory, 'data', 'noise'), noise)
  write(join(directory, 'data', 'text'), source(1, 256 << 20))
}

function stepsContext(directory) {
  write(
    join(directory, 'Dockerfile'),
    `FROM ${base}\n${Array.from({ length: 20 }, (_, step) => `RUN true ${step}\n`).join('')}`,
  )
}

/** Text that gzip takes to about a third. */
function source(seed, bytes) {
  const lines = []
  for (let length = 0, state = seed + 1; length < Math.min(bytes, 1 << 20);) {
    state = (state * 48_271) % 2_147_483_647
    const line = `const value${state % 9973} = compute(${state % 65_521}, "${(state % 3_000_017).toString(36)}")\n`
    lines.push(line)
    length += line.length
  }
  return Buffer.alloc(bytes, lines.join(''))
}

function write(path, data) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, data)
}
