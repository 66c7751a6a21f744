// `kill -9` at random moments, in the places of scripts/environments/places.mjs: builds that use everything at once (caches,
// binds, secrets, tmpfs, ssh, git, several stages, a push) lose one process or all of them. After each nothing may be left that the
// next build does not sweep, and that has the same image. KILLS_SEED, FAULT_ROUNDS (kills in each place), KILLS_PLACES (names, with
// blanks between), KILLS_STORE (`disk`, `volume`); ENVIRONMENTS_* as docs/environments.md tells: an image with git, ssh, sshd and docker-registry adds these.
// seconds: 1800
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { places } from '../environments/places.mjs'
import { openWorkDirectory, prepareProgram } from '../environments/prepare.mjs'
import { runPlace, whyNot } from '../environments/start.mjs'
import { step } from '../setup.mjs'
import { testing } from './parts/world.mjs'

const USUAL = 'host-root docker-privileged host-single docker-unconfined podman-default docker-default'
const wanted = (process.env['KILLS_PLACES'] ?? USUAL).split(' ')
const seed = Number(process.env['KILLS_SEED'] ?? Date.now() % 100_000)
const rounds = Number(process.env['FAULT_ROUNDS'] ?? 50)
const endMs = Date.now() + Number(process.env['FAULT_SECONDS'] ?? 1800) * 1000
const image = process.env['ENVIRONMENTS_IMAGE'] ?? 'debian:bookworm-slim'
const verbose = process.env['ENVIRONMENTS_VERBOSE'] === '1'

const unknown = wanted.filter((name) => !places.some((place) => place.name === name))
if (unknown.length > 0) throw new Error(`KILLS_PLACES: no ${unknown.join(', ')}`)
const workDirectory = openWorkDirectory()
const payload = prepareProgram(workDirectory, ['package.json', 'scripts/faults/parts'])
// A guest tells them as they come, and all of them at its end.
const problems = new Set()
try {
  await using base = await testing.temporaryDirectory()
  await testing.makeBusyboxBase(base.join('base'))
  cpSync(base.join('base'), join(payload, 'base'), { recursive: true })
  for (const [index, name] of wanted.entries()) await tryPlace(name, (endMs - Date.now()) / (wanted.length - index))
} finally {
  rmSync(payload, { recursive: true, force: true, maxRetries: 3 })
}
for (const problem of problems) console.log(problem)
process.exitCode = problems.size === 0 ? 0 : 1

async function tryPlace(name, milliseconds) {
  const place = places.find((one) => one.name === name)
  const reason = whyNot(place)
  if (reason !== undefined) return console.log(`not tried: ${name}: ${reason}`)
  step(`${name}, seed ${seed}`)
  let last
  const { status, complaint } = await runPlace(place, {
    guest: 'scripts/faults/parts/kills-guest.mjs',
    stores: [process.env['KILLS_STORE'] ?? 'disk'],
    words: ([[, directory]]) => [
      JSON.stringify({
        directory: join(directory, `kills-${seed}`),
        seed,
        rounds,
        seconds: Math.round(milliseconds / 1000),
        isContainer: place.engine !== 'host',
      }),
    ],
    payload,
    workDirectory,
    image,
    timeoutMs: milliseconds + 50_000,
    onReport: (report) => {
      last = report
      for (const problem of report.problems ?? []) problems.add(`${name}, seed ${seed}: ${problem}`)
      if (verbose) console.log(JSON.stringify(report))
    },
  })
  if (last?.kills === undefined) return problems.add(`${name}: ended with ${status}: ${complaint}`)
  console.log(`${last.rounds} rounds; undisturbed ${last.quietMs} ms; killed: ${JSON.stringify(last.kills)}`)
  if (last.missing.length > 0) console.log(`without ${last.missing.join(', ')}, which the place lacks`)
}
