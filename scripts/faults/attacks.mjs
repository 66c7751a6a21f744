// In each place of scripts/environments/places.mjs a step tries what leads out of one, and nothing may be reached but what
// docs/isolation.md says. ENVIRONMENTS_* as docs/environments.md tells; needs a C compiler with a static C library.
// seconds: 1800
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { testing } from './parts/world.mjs'
import { root, step, stop } from '../setup.mjs'
import { places } from '../environments/places.mjs'
import { openWorkDirectory, prepareProgram } from '../environments/prepare.mjs'
import { runPlace, whyNot } from '../environments/start.mjs'

/** At most: on the network of the place, as `docker run --network=host`; a working tree; and where the kernel gives no new /proc. */
const mayBeReached = ({ name, engine }) => [
  'an abstract socket',
  ...(engine === 'host' ? [] : ['the path of the store']),
  ...(/(?:unconfined|default)-1000/.test(name) ? ['settings of processes'] : []),
]
const FEWEST = 19

const image = process.env['ENVIRONMENTS_IMAGE'] ?? 'debian:bookworm-slim'
const names = process.env['ENVIRONMENTS_ONLY']?.split(' ')
const stores = process.env['ENVIRONMENTS_STORES']?.split(' ') ?? ['disk', 'volume']
const failures = []
const workDirectory = openWorkDirectory()
const payload = prepareProgram(workDirectory, ['package.json', 'scripts/faults/parts'])
try {
  await prepareAttacks()
  for (const place of places) if ((names?.includes(place.name) ?? true) && place.expect === 'works') await attack(place)
} finally {
  rmSync(payload, { recursive: true, force: true, maxRetries: 3 })
}
console.log(failures.length === 0 ? '\nnothing was reached' : `\nnot as expected:\n  ${failures.join('\n  ')}`)
process.exitCode = failures.length === 0 ? 0 : 1

async function prepareAttacks() {
  await using base = await testing.temporaryDirectory()
  await testing.makeBusyboxBase(base.join('base'))
  cpSync(base.join('base'), join(payload, 'base'), { recursive: true })
  mkdirSync(join(payload, 'attacks'))
  for (const name of ['attack-step', 'reach-socket']) {
    const source = join(root, `packages/runtime/src/testing/${name}.c`)
    const { status } = spawnSync('cc', ['-static', '-O1', '-o', join(payload, 'attacks', name), source], {
      stdio: 'inherit',
    })
    if (status !== 0) stop(`${name} could not be compiled`, 'gcc and libc6-dev')
  }
}

async function attack(place) {
  const reason = whyNot(place)
  if (reason !== undefined) return console.log(`not tried: ${place.name}: ${reason}`)
  step([place.name, ...(place.options ?? [])].join(' '))
  const tried = []
  const { status, complaint } = await runPlace(place, {
    guest: 'scripts/faults/parts/attack-guest.mjs',
    words: (all) => all.map(([name, directory]) => `${name}=${directory}`),
    stores,
    payload,
    workDirectory,
    image,
    timeoutMs: 300_000,
    onReport: (report) => tried.push(report),
  })
  const reached = tried.filter((one) => one.reached !== '')
  for (const { store, attack: name, reached: what } of reached) {
    const isKnown = mayBeReached(place).includes(name)
    console.log(`${store.padEnd(8)}${name.padEnd(28)}${isKnown ? 'as documented' : 'REACHED'}  ${what}`)
    if (!isKnown) failures.push(`${place.name}, ${store}: ${name}: ${what}`)
  }
  const expected = FEWEST * (place.engine === 'host' ? 1 : stores.length)
  console.log(`${tried.length} attacks, ${tried.length - reached.length} held`)
  if (status !== 0 || tried.length < expected)
    failures.push(`${place.name}: ended with ${status} after ${tried.length} attacks: ${complaint}`)
}
