// Whole builds on a disk that is full a little later each time, so that every write meets the end of it.
// seconds: 900
import { mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { makeBuildWorld, problemsOfStore, testing } from './parts/world.mjs'

const { checkTool, mountSmallDisk } = testing
const endMs = Date.now() + Number(process.env['FAULT_SECONDS'] ?? 900) * 1000
const STEPS = Number(process.env['FAULT_ROUNDS'] ?? 100)
const DISK_BYTES = 48 * 1024 * 1024
const DOCKERFILES = {
  copy: 'FROM scratch\nCOPY large small /\n',
  tree: 'FROM $BASE\nCOPY large small /\nRUN cat /small > /copy && touch -d @1 /copy\n',
  run: 'FROM $BASE\nRUN for i in 1 2; do cp /bin/busybox /b$i && touch -d @1 /b$i; done\n',
  add: 'FROM scratch\nADD archive.tar /\n',
  cache: 'FROM $BASE\nRUN --mount=type=cache,target=/c,from=seed cp /c/large /large && touch -d @1 /large\n',
}
/** What a full disk may be called: the store's own name for it, a step's, an output's. */
const FULL = /^OCI_(STORE_FULL|STEP_FAILED|EXPORT_FAILED)$/

/** An output may be there before another one fails; a directory is filled in place. */
const WHOLE = new Set(['local', 'oci.tar'])

await using world = await makeBuildWorld()
const problems = []
const context = await world.context('app', { large: randomBytes(1_500_000), small: 'small\n' })
await checkTool('tar', ['--mtime=@1', '-cf', 'archive.tar', 'large', 'small'], { cwd: context })
await using disk = await mountSmallDisk(DISK_BYTES)
const store = join(disk.path, 'store')
const ballast = join(disk.path, 'ballast')
const out = join(disk.path, 'out')

for (const name of Object.keys(DOCKERFILES)) console.log(`${name}: ${await fill(name)}`)
for (const problem of problems) console.log(problem)
process.exitCode = problems.length === 0 ? 0 : 1

/** Each time with a little more room, until the build has all it wants. */
async function fill(name) {
  const options = optionsOf(name)
  clean()
  const before = freeBytes()
  const expected = (await world.build(context, options)).configDigest
  const neededBytes = before - freeBytes()
  let full = 0
  // Besides what stays: temporary files, and blocks that a file system keeps for itself.
  for (let step = 0; step <= STEPS; step++) {
    if (Date.now() > endMs) return `out of time after ${full} full disks`
    const roomBytes = Math.round((neededBytes * 2 * step) / STEPS)
    if (await fails(name, options, roomBytes, expected)) full++
    else if (roomBytes > neededBytes) break
  }
  return `${neededBytes} bytes, ${full} full disks`
}

async function fails(name, options, roomBytes, expected) {
  const where = `${name}, ${roomBytes} bytes of room`
  clean()
  const ballastBytes = freeBytes() - roomBytes
  // It fails where the file system wants some blocks for itself: then there is no room at all.
  if (ballastBytes > 0) await checkTool('fallocate', ['-l', String(ballastBytes), ballast]).catch(() => undefined)
  let isFull = false
  try {
    await world.build(context, options)
  } catch (error) {
    isFull = true
    if (!FULL.test(error.code ?? '')) problems.push(`${where}: ${error.code ?? error.stack} ${error.message}`)
    else if (!/space/.test(`${error.message} ${error.hint}`))
      problems.push(`${where}: no word of space: ${error.message}`)
  }
  rmSync(ballast, { force: true })
  if (isFull) {
    for (const left of listOr(join(store, 'tmp'))) problems.push(`${where}: left tmp/${left}`)
    for (const left of listOr(out).filter((file) => !WHOLE.has(file))) problems.push(`${where}: left ${left}`)
  }
  try {
    const { configDigest } = await world.build(context, options)
    if (configDigest !== expected) problems.push(`${where}: then another image`)
    problems.push(...(await problemsOfStore(store)).map((problem) => `${where}: ${problem}`))
  } catch (error) {
    problems.push(`${where}: then, with room, ${error.code ?? ''} ${error.message}`)
  }
  return isFull
}

function optionsOf(name) {
  return {
    store,
    dockerfile: DOCKERFILES[name].replaceAll('$BASE', world.base),
    buildContexts: { seed: context },
    tags: ['app'],
    sourceDateEpoch: 1,
    outputs: [
      { type: 'image' },
      { type: 'oci', dest: join(out, 'oci.tar') },
      { type: 'local', dest: join(out, 'local') },
    ],
  }
}

function clean() {
  for (const path of [store, ballast, out]) rmSync(path, { recursive: true, force: true })
  mkdirSync(out)
}

function freeBytes() {
  const { bavail, bsize } = statfsSync(disk.path)
  return bavail * bsize
}

function listOr(path) {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
