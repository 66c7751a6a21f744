// `npm run environments`: starts each place of scripts/environments/places.mjs, builds the files there with the store on the
// place's own disk and on a volume, and prints a table. Fails where a place does not do what its entry expects.
// docs/environments.md tells the variables.
import { rmSync } from 'node:fs'
import { expectationOf, places } from './environments/places.mjs'
import { openWorkDirectory, preparePayload } from './environments/prepare.mjs'
import { files } from './environments/files.mjs'
import { hintedPlaces } from './environments/hints.mjs'
import { runPlace, whyNot } from './environments/start.mjs'
import { step, stop } from './setup.mjs'

/** From the start of one place to its end. */
const PLACE_SECONDS = Number(process.env['ENVIRONMENTS_SECONDS'] ?? 900)
const image = process.env['ENVIRONMENTS_IMAGE'] ?? 'debian:bookworm-slim'
const isVerbose = process.env['ENVIRONMENTS_VERBOSE'] === '1'

const wanted = select(places, 'ENVIRONMENTS_ONLY', ({ name }) => name)
const wantedFiles = select(Object.keys(files), 'ENVIRONMENTS_FILES', (name) => name)
const wantsHints = process.env['ENVIRONMENTS_HINTS'] !== '0'
const wantedStores = select(['disk', 'volume'], 'ENVIRONMENTS_STORES', (name) => name)
const workDirectory = openWorkDirectory()
const failures = []
const skipped = []
const reasons = new Map()
const payload = preparePayload(workDirectory, image)
try {
  for (const place of wanted) await tryPlace(place)
} finally {
  rmSync(payload, { recursive: true, force: true, maxRetries: 3 })
}
for (const line of skipped) console.log(`not tried: ${line}`)
console.log(failures.length === 0 ? '\nas expected' : `\nnot as expected:\n  ${failures.join('\n  ')}`)
process.exitCode = failures.length === 0 ? 0 : 1

async function tryPlace(place) {
  if (!reasons.has(place.engine)) reasons.set(place.engine, whyNot(place))
  const reason = reasons.get(place.engine)
  if (reason !== undefined) return skipped.push(`${place.name}: ${reason}`)
  step([place.name, ...(place.options ?? [])].join(' '))
  const seen = new Set()
  let said
  let told
  const onReport = (report) => {
    if (report.file === undefined) return tellInfo((said = report), (told ??= report.info))
    seen.add(`${report.store} ${report.file}`)
    tellFile(place, report)
    if (report.file === 'quickstart') compareInfo(place, said, report)
  }
  const { status, complaint } = await start(place, { stores: wantedStores, onReport })
  // A host's disk is both.
  const stores = place.engine === 'host' ? ['disk'] : wantedStores
  const missed = stores.flatMap((store) => wantedFiles.map((file) => `${store} ${file}`)).filter((id) => !seen.has(id))
  if (status !== 0 || missed.length > 0)
    failures.push(`${place.name}: ended with ${status}; not built: ${missed.join(', ') || 'nothing'}: ${complaint}`)
  if (wantsHints && place.engine !== 'host' && told !== undefined) await tryHints(place, told)
}

function start(place, how) {
  return runPlace(place, { payload, workDirectory, image, timeoutMs: PLACE_SECONDS * 1000, ...how })
}

/** What `info` names for an isolation that does not work has to make it work, here, with a build. */
async function tryHints(place, told) {
  const { trials, untried } = hintedPlaces(place, told)
  for (const hint of untried) console.log(`hint not tried: ${hint}`)
  for (const { place: hinted, mode, hint, mayDiffer } of trials) {
    let works = false
    let error
    const onReport = ({ info, code }) => {
      if (info === undefined) error = code
      else works = info.isolations?.some((one) => (mayDiffer || one.mode === mode) && one.isUsable) ?? false
    }
    const { status, complaint } = await start(hinted, { stores: ['disk'], onReport, onlyFiles: 'quickstart' })
    const isRight = status === 0 && works && error === undefined
    console.log(`hint    ${mode.padEnd(12)}${isRight ? 'ok' : 'FAIL'}  ${hinted.options.join(' ')}`)
    if (!isRight)
      failures.push(`${place.name}: "${hint}" does not give ${mode}: ${error ?? (works ? complaint : 'info says so')}`)
  }
}

function tellInfo({ store, info }) {
  console.log(`${store.padEnd(8)}${'info'.padEnd(12)}${info.error ?? `isolation ${info.isolation ?? 'none'}`}`)
  if (isVerbose) console.log(JSON.stringify(info, undefined, 1))
}

/** It says of an isolation that it works where the build does, and of none where it does not. */
function compareInfo(place, { info }, { store, code }) {
  // What `info` has nothing to say of is null in its JSON.
  const promises = info.error === undefined && info.isolation !== null && info.storeProblem === null
  if (promises === (code === undefined)) return
  const said = info.error ?? info.storeProblem?.reason ?? `isolation ${info.isolation ?? 'none'}`
  failures.push(`${place.name}, ${store}: info says ${said}, and a build ${code === undefined ? 'works' : 'does not'}`)
}

function tellFile(place, { store, file, seconds, code, error, output }) {
  const expected = expectationOf(place, store, file)
  const got = code ?? 'works'
  const isRight = got === expected
  const word = isRight ? (code === undefined ? 'ok' : 'refused as documented') : 'FAIL'
  const why = code === undefined ? '' : `  ${code}: ${error}`
  console.log(`${store.padEnd(8)}${file.padEnd(12)}${word.padEnd(8)}${seconds.toFixed(1).padStart(6)} s${why}`)
  if (isRight) return
  failures.push(`${place.name}, ${store}, ${file}: ${got}, expected ${expected}${why && `: ${error}`}`)
  if (isVerbose && output !== undefined) console.log(output.replaceAll(/^/gm, '    '))
}

/** Those that a variable names, with blanks between; else all. */
function select(all, variable, nameOf) {
  const names = process.env[variable]?.split(' ')
  if (names === undefined) return all
  const unknown = names.filter((name) => !all.some((one) => nameOf(one) === name))
  if (unknown.length > 0) stop(`${variable}: no ${unknown.join(', ')}`, `there are: ${all.map(nameOf).join(', ')}`)
  return all.filter((one) => names.includes(nameOf(one)))
}
