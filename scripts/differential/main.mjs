// `npm run differential -- --seed N --count N`: draws Dockerfiles from a grammar, builds each with BuildKit and with
// tsbuild, and prints what differs: outcome, error line, config, history, files, layers. `--transfers` draws COPY and
// ADD alone, over random contexts.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../setup.mjs'
import { buildImage, defaultBuildkitCommand } from './build.mjs'
import { compareCaches } from './caches.mjs'
import { compareOutcomes, isMatterOfOrder } from './compare.mjs'
import { writeContext } from './context.mjs'
import { drawDockerfile } from './grammar.mjs'
import { createRandom } from './random.mjs'
import { compareSteps } from './step.mjs'
import { drawTransfers } from './transfers.mjs'
import { writeTree } from './tree.mjs'

const HELP = `npm run differential -- [options]
  --seed N                 which Dockerfiles are drawn (default 1)
  --count N                how many (default 50)
  --only N                 only the one with this number
  --base IMAGE             an image with a shell, for RUN; none: no RUN
  --buildkit-command CMD   default: docker buildx build, in the mount namespace PEERS_NS if it is set
  --tsbuild-command CMD    default: the tsbuild of this checkout
  --directory DIR          where contexts are made; both builders must see it (default /tmp)
  --transfers              COPY and ADD over random contexts, as root; needs --base
  --step                   what a step sees, one probe with each; needs --base, an image of Debian
  --caches                 who builds from the cache that the other has written runs no step; with --transfers, too
  --parents                with --transfers: COPY --parents as well, which an older BuildKit does not know
  --print                  print the Dockerfiles and build nothing
  --verbose                print each Dockerfile that builds differently, and both logs`

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '50' },
    only: { type: 'string' },
    base: { type: 'string' },
    'buildkit-command': { type: 'string' },
    'tsbuild-command': { type: 'string' },
    directory: { type: 'string', default: '/tmp' },
    transfers: { type: 'boolean', default: false },
    step: { type: 'boolean', default: false },
    caches: { type: 'boolean', default: false },
    parents: { type: 'boolean', default: false },
    print: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const counted = { hits: 0, misses: 0 }
if (options.help) console.log(HELP)
else process.exitCode = await main()

async function main() {
  const first = options.only === undefined ? 0 : Number(options.only)
  const last = options.only === undefined ? Number(options.count) - 1 : first
  const work = mkdtempSync(join(options.directory, 'differential-'))
  // The builder may be another user.
  chmodSync(work, 0o755)
  const tally = { equal: 0, refused: 0, order: 0, different: 0 }
  try {
    if (options.step) {
      const reference = split(options['buildkit-command']) ?? defaultBuildkitCommand()
      const environment = { TSBUILD_HOME: join(work, 'store') }
      return Math.min(
        1,
        await compareSteps({ work, base: options.base, reference, ours: tsbuildCommand(), environment }),
      )
    }
    for (let number = first; number <= last; number++) {
      const result = await tryCase(number, work)
      tally[result]++
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  if (options.caches) console.log(`steps that were found: ${counted.hits}, missed: ${counted.misses}`)
  if (!options.print)
    console.log(
      `equal images: ${tally.equal}, equal refusals: ${tally.refused}, another step's failure told first: ${tally.order}, different: ${tally.different}`,
    )
  return tally.different === 0 ? 0 : 1
}

async function tryCase(number, work) {
  const random = createRandom(Number(options.seed) * 1_000_003 + number)
  // BuildKit keeps its copy of a context by the directory's name.
  const context = join(work, `context-${options.seed}-${number}-${process.pid}`)
  mkdirSync(context)
  const dockerfile = options.transfers ? drawTree(context, random) : drawWords(context, random)
  if (options.print) {
    console.log(`--- ${number}\n${dockerfile}`)
    return 'equal'
  }
  writeFileSync(join(context, 'Dockerfile'), dockerfile)
  if (options.caches) return tryCaches(number, work, context, dockerfile)
  const started = Date.now() / 1000
  const [reference, ours] = await Promise.all([
    buildImage(
      split(options['buildkit-command']) ?? defaultBuildkitCommand(),
      context,
      join(work, `buildkit-${number}`),
    ),
    buildImage(tsbuildCommand(), context, join(work, `tsbuild-${number}`), { TSBUILD_HOME: join(work, 'store') }),
  ])
  rmSync(context, { recursive: true })
  const differences = compareOutcomes(reference, ours, started)
  report(number, dockerfile, differences, [reference, ours])
  if (differences.length > 0) return isMatterOfOrder(reference, ours) ? 'order' : 'different'
  return reference.ok ? 'equal' : 'refused'
}

async function tryCaches(number, work, context, dockerfile) {
  const { result, hits, misses } = await compareCaches({
    context,
    work,
    number,
    reference: split(options['buildkit-command']) ?? defaultBuildkitCommand(),
    ours: tsbuildCommand(),
    oursWrites: number % 2 === 0,
  })
  rmSync(context, { recursive: true })
  for (const name of readdirSync(work)) rmSync(join(work, name), { recursive: true, force: true })
  counted.hits += hits
  counted.misses += misses.length
  if (misses.length > 0) {
    console.log(`--- ${number}: ${number % 2 === 0 ? 'tsbuild' : 'BuildKit'} wrote, the other missed`)
    if (options.verbose) console.log(dockerfile.replace(/^/gm, '    '))
    for (const name of misses) console.log(`  ${name}`)
  }
  return result
}

function drawWords(context, random) {
  const dockerfile = drawDockerfile(random, { base: options.base })
  if (!options.print) writeContext(context, random)
  return dockerfile
}

function drawTree(context, random) {
  const entries = writeTree(context, random)
  return drawTransfers(random, { base: options.base, entries, hasParents: options.parents })
}

function tsbuildCommand() {
  return split(options['tsbuild-command']) ?? [process.execPath, join(root, 'packages/cli/bin/run.js'), 'build']
}

function split(command) {
  return command?.split(' ').filter((word) => word !== '')
}

function report(number, dockerfile, differences, outcomes) {
  if (differences.length === 0) {
    if (options.verbose && !outcomes[0].ok) console.log(`--- ${number}: both refuse: ${outcomes[0].error}`)
    return
  }
  console.log(`--- ${number}`)
  if (options.verbose) console.log(dockerfile.replace(/^/gm, '    '))
  for (const line of differences.slice(0, 12)) console.log(line)
  if (options.verbose) for (const { log } of outcomes) if (log !== undefined) console.log(log.replace(/^/gm, '  | '))
}
