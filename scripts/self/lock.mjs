// The lock file of the image: what the command needs, out of the lock file of the repository, with every package in a file
// of the context. Nothing is resolved anew, so that there is one list of versions and digests.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = 'node_modules/'
const ownNames = ['runtime', 'builder', 'cli']

/** The third-party packages, as `{ name, version, integrity, entry }`: one version each, `entry` as the lock file has it. */
export function lockedPackages(lockFile) {
  const { packages } = JSON.parse(readFileSync(lockFile, 'utf8'))
  const found = new Map()
  const visit = (place) => {
    for (const name of Object.keys(packages[place].dependencies ?? {})) {
      const at = placeOf(packages, place, name)
      const entry = packages[at]
      if (entry.link === true) visit(entry.resolved)
      else if (found.get(name)?.version === undefined) {
        found.set(name, { name, version: entry.version, integrity: entry.integrity, entry })
        visit(at)
      } else if (found.get(name).version !== entry.version)
        throw new Error(`${name} is there in two versions, ${found.get(name).version} and ${entry.version}`)
    }
  }
  visit('packages/cli')
  return [...found.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** As Node looks for it: in the folder's own node_modules, then in those above. */
function placeOf(packages, place, name) {
  for (let folder = place; ; folder = folder.slice(0, Math.max(folder.lastIndexOf('/'), 0))) {
    const at = folder === '' ? `${FOLDER}${name}` : `${folder}/${FOLDER}${name}`
    if (packages[at] !== undefined) return at
    if (folder === '') throw new Error(`${name}, which ${place} needs, is not in the lock file`)
  }
}

/** `package.json` and `package-lock.json` of the context whose tarballs lie in `vendor`. */
export function manifests(context, packages) {
  const own = ownNames.map((name) => ownPackage(context, name))
  const dependencies = Object.fromEntries(own.map(({ name, resolved }) => [name, resolved]))
  const manifest = { name: 'tsbuild-image', private: true, dependencies }
  const entries = [
    ...packages.map(({ name, version, entry }) => [
      name,
      { ...entry, resolved: `file:vendor/${tarballOf(name, version)}` },
    ]),
    ...own.map(({ name, ...entry }) => [name, entry]),
  ].map(([name, entry]) => [`${FOLDER}${name}`, entry])
  const lock = {
    name: manifest.name,
    lockfileVersion: 3,
    requires: true,
    packages: { '': { name: manifest.name, dependencies }, ...Object.fromEntries(entries) },
  }
  return { manifest, lock }
}

function ownPackage(context, folder) {
  const { name, version, dependencies, bin } = JSON.parse(readFileSync(join(rootOf(folder), 'package.json'), 'utf8'))
  const file = `vendor/${tarballOf(name, version)}`
  return { name, version, resolved: `file:${file}`, integrity: integrityOf(join(context, file)), dependencies, bin }
}

function rootOf(folder) {
  return join(import.meta.dirname, '../../packages', folder)
}

/** As `npm pack` calls it. */
export function tarballOf(name, version) {
  return `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`
}

/** Subresource integrity of a file, as lock files have it. */
export function integrityOf(file) {
  return `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`
}
