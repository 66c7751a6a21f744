// `npm run self [-- --dest DIR] [--build-only]`: the image of tsbuild, as an archive with the digest that it has; then that
// image, run as a container in each place where it has to work, builds itself again, to the same digest.
// docs/ci.md tells what the image is, and docs/environments.md the variables that name the engines.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { whyNot } from './environments/start.mjs'
import { pullBase } from './self/base.mjs'
import { buildArguments } from './self/build.mjs'
import { writeContext } from './self/context.mjs'
import { loadImage, rebuildIn, removeImage, selectPlaces } from './self/places.mjs'
import { nodeBinary, root, step, stop } from './setup.mjs'

const { values } = parseArgs({
  options: {
    dest: { type: 'string', default: join(root, 'dist', 'self') },
    'build-only': { type: 'boolean', default: false },
  },
})
const dest = resolve(values.dest)
const wanted = values['build-only'] ? [] : selectPlaces()
const work = process.env['ENVIRONMENTS_DIR'] ?? join(tmpdir(), 'tsbuild-self')
mkdirSync(work, { recursive: true })
chmodSync(work, 0o755)

const inputs = writeInputs()
const first = buildHere(inputs)
const failures = []
const skipped = []
for (const engine of new Set(wanted.map((place) => place.engine))) tryEngine(engine)
for (const line of skipped) console.log(`not tried: ${line}`)
console.log(failures.length === 0 ? `\none digest: ${first.digest}` : `\nnot as expected:\n  ${failures.join('\n  ')}`)
process.exitCode = failures.length === 0 ? 0 : 1

/** All that the image is made of: context and base in a directory, and the time of the commit. */
function writeInputs() {
  step('the inputs: tarballs of this tree, those of the npm registry that the lock file names, the base')
  const context = join(dest, 'context')
  writeContext(context)
  const base = pullBase(join(dest, 'base'))
  return { context, base: join(dest, 'base'), baseDigest: base.digest, epoch: epoch() }
}

/** The commit's time where the tree is one; SOURCE_DATE_EPOCH goes before. */
function epoch() {
  const named = process.env['SOURCE_DATE_EPOCH']
  if (named !== undefined) return named
  const { stdout, status } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : '0'
}

function buildHere(made) {
  step(`the image, on ${made.baseDigest}, SOURCE_DATE_EPOCH=${made.epoch}`)
  const store = join(dest, 'store')
  const archive = join(dest, 'tsbuild.tar')
  const metadata = join(dest, 'metadata.json')
  const words = buildArguments({ ...made, output: `type=docker,dest=${archive},name=tsbuild:self`, metadata })
  rmSync(store, { recursive: true, force: true, maxRetries: 3 })
  const { status, stderr } = spawnSync(nodeBinary(), [join(root, 'packages/cli/bin/run.js'), ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: made.epoch, TSBUILD_HOME: store },
  })
  rmSync(store, { recursive: true, force: true, maxRetries: 3 })
  if (status !== 0) stop(`the image could not be built:\n${stderr.slice(-4000)}`)
  const digest = JSON.parse(readFileSync(metadata, 'utf8'))['containerimage.digest']
  console.log(`${relative(process.cwd(), archive)}  ${digest}`)
  return { archive, digest }
}

function tryEngine(engine) {
  const reason = whyNot({ engine })
  const here = wanted.filter((place) => place.engine === engine)
  if (reason !== undefined) return skipped.push(...here.map(({ name }) => `${name}: ${reason}`))
  loadImage(engine, first.archive, work)
  try {
    for (const place of here) {
      step([place.name, ...(place.options ?? [])].join(' '))
      const { digest, complaint, seconds } = rebuildIn(place, { ...inputs, work })
      console.log(`${digest ?? 'no image'}  ${seconds.toFixed(1)} s`)
      if (digest !== first.digest) failures.push(`${place.name}: ${digest ?? complaint}, not ${first.digest}`)
    }
  } finally {
    removeImage(engine)
  }
}
