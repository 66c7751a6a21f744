// The context of the image of tsbuild: our tarballs and, from the npm registry, those that they need, Node and npm; each is
// compared with the digest that is known of it, here and once more while the image is built.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { environment, nodeBinary, root, stop } from '../setup.mjs'
import { integrityOf, lockedPackages, manifests, tarballOf } from './lock.mjs'

/** What installs; of the version that package.json has. */
export const npm = {
  name: 'npm',
  version: '11.19.1',
  integrity: 'sha512-ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g==',
}

/** Writes the context anew; tarballs of others that are there and right already stay. */
export function writeContext(context) {
  const vendor = join(context, 'vendor')
  mkdirSync(vendor, { recursive: true })
  const lockFile = join(root, 'package-lock.json')
  const packages = lockedPackages(lockFile)
  const bootstrap = [lockedNode(lockFile), npm]
  fetchTarballs([...packages, ...bootstrap], vendor)
  const packed = spawnSync(nodeBinary(), ['scripts/pack.mjs', '--native', 'here', '--dest', vendor], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (packed.status !== 0) stop('the tarballs of the release could not be made', 'npm run pack -- --native here')
  const { manifest, lock } = manifests(context, packages)
  writeJson(join(context, 'package.json'), manifest)
  writeJson(join(context, 'package-lock.json'), lock)
  writeFileSync(join(context, 'bootstrap.sha512'), bootstrap.map(checksumLine).join(''))
  cpSync(join(root, 'fixtures/self/Dockerfile'), join(context, 'Dockerfile'))
  // Users of containers read it, whatever the umask is here.
  spawnSync('chmod', ['-R', 'a+rX', context])
}

function lockedNode(lockFile) {
  const name = `node-linux-${process.arch}`
  const { version, integrity } = JSON.parse(readFileSync(lockFile, 'utf8')).packages[`node_modules/${name}`]
  return { name, version, integrity }
}

/** By the npm client, with its registry, proxy and cache. */
function fetchTarballs(packages, vendor) {
  const fileOf = ({ name, version }) => join(vendor, tarballOf(name, version))
  const isRight = (one) => existsSync(fileOf(one)) && integrityOf(fileOf(one)) === one.integrity
  const missing = packages.filter((one) => !isRight(one))
  if (missing.length === 0) return
  const words = missing.map(({ name, version }) => `${name}@${version}`)
  const fetched = spawnSync('npm', ['pack', ...words, '--pack-destination', vendor, '--ignore-scripts', '--silent'], {
    cwd: vendor,
    env: environment(),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (fetched.status !== 0) stop('npm pack failed', 'the npm registry must be reachable the first time')
  for (const one of missing) {
    if (isRight(one)) continue
    rmSync(fileOf(one), { force: true })
    stop(`${one.name}@${one.version} from the npm registry is not what the lock file says`)
  }
}

/** A line that `sha512sum --check` reads. */
function checksumLine({ name, version, integrity }) {
  const digest = Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex')
  return `${digest}  vendor/${tarballOf(name, version)}\n`
}

function writeJson(file, value) {
  writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`)
}
