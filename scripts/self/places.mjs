// The image in the engines of this machine: loaded, run as in the list of places, removed.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { places } from '../environments/places.mjs'
import { engineCommand } from '../environments/start.mjs'
import { stop } from '../setup.mjs'
import { buildArguments } from './build.mjs'

const image = 'tsbuild:self'
const limitMs = Number(process.env['ENVIRONMENTS_SECONDS'] ?? 900) * 1000

/** Containers in which steps work, or those of them that $ENVIRONMENTS_ONLY names. */
export function selectPlaces() {
  const able = places.filter(({ engine, expect }) => engine !== 'host' && expect === 'works')
  const names = process.env['ENVIRONMENTS_ONLY']?.split(' ')
  if (names === undefined) return able
  const unknown = names.filter((name) => !able.some((place) => place.name === name))
  if (unknown.length > 0)
    stop(
      `ENVIRONMENTS_ONLY: no steps in ${unknown.join(', ')}`,
      `there are: ${able.map(({ name }) => name).join(', ')}`,
    )
  return able.filter(({ name }) => names.includes(name))
}

export function loadImage(engine, archive, work) {
  // Where the engine sees it.
  const copy = join(work, 'tsbuild-self.tar')
  spawnSync('cp', [archive, copy])
  const { status, stderr } = run(engine, ['load', '-i', copy])
  rmSync(copy, { force: true })
  if (status !== 0) stop(`${engine} does not take the image`, stderr.trim())
}

export function removeImage(engine) {
  run(engine, ['rmi', '-f', image])
}

/** Builds the image once more in a container of it; returns the digest, or what was complained of. */
export function rebuildIn(place, { context, base, baseDigest, epoch, work }) {
  const volume = mkdtempSync(join(work, 'self-'))
  // For whichever user the place has.
  chmodSync(volume, 0o777)
  const name = `tsbuild-self-${place.name}`
  const mounts = ['-v', `${context}:/self:ro`, '-v', `${base}:/base:ro`, '-v', `${volume}:/out`]
  const words = buildArguments({
    context: '/self',
    base: '/base',
    baseDigest,
    output: 'type=oci,dest=/out/image.tar',
    metadata: '/out/metadata.json',
  })
  const options = ['--rm', '--name', name, '-e', `SOURCE_DATE_EPOCH=${epoch}`, ...mounts, ...(place.options ?? [])]
  const started = Date.now()
  try {
    const { status, signal, stderr } = run(place.engine, ['run', ...options, image, ...words])
    const seconds = (Date.now() - started) / 1000
    const metadata = join(volume, 'metadata.json')
    if (status !== 0 || !existsSync(metadata))
      return { seconds, complaint: `${status ?? signal}: ${stderr.slice(-4000)}` }
    return { seconds, digest: JSON.parse(readFileSync(metadata, 'utf8'))['containerimage.digest'] }
  } finally {
    run(place.engine, ['rm', '-f', name])
    rmSync(volume, { recursive: true, force: true, maxRetries: 3 })
  }
}

function run(engine, words) {
  const [program, ...args] = engineCommand(engine)
  return spawnSync(program, [...args, ...words], { encoding: 'utf8', timeout: limitMs, maxBuffer: 64 << 20 })
}
