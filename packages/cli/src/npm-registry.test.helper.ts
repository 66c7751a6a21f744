import { readFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ServerResponse } from 'node:http'
import { findTool, type StandIn, startStandIn } from '@ts-oci/testing'

type Manifest = Readonly<Record<string, unknown>> & { readonly version: string }

/**
 * A registry of npm on the loopback that has what is installed in a checkout, and nothing else: what is installed from it
 * asks neither the network nor the cache of a user.
 */
export async function startNpmRegistry(checkout: string): Promise<StandIn> {
  const places = placesByName(await readFile(join(checkout, 'package-lock.json'), 'utf8'))
  const registry: StandIn = await startStandIn(async (request, response) => {
    const path = decodeURIComponent((request.url ?? '').slice(1))
    if (path.startsWith(TARBALLS)) return sendTarball(join(checkout, path.slice(TARBALLS.length)), response)
    const found = await Promise.all(
      (places.get(path) ?? []).map((place) => readManifest(checkout, place, registry.host)),
    )
    const versions = found.filter((manifest) => manifest !== undefined)
    response.statusCode = versions.length === 0 ? 404 : 200
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        name: path,
        'dist-tags': { latest: versions[0]?.version },
        versions: Object.fromEntries(versions.map((manifest) => [manifest.version, manifest])),
      }),
    )
  })
  return registry
}

const TARBALLS = '-/'
const FOLDER = 'node_modules/'

/** Where the packages of a lock file are installed; one may be there in several versions. */
function placesByName(lockFile: string): ReadonlyMap<string, readonly string[]> {
  const { packages } = JSON.parse(lockFile) as {
    readonly packages: Readonly<Record<string, { readonly link?: boolean }>>
  }
  const places = new Map<string, string[]>()
  for (const [place, { link }] of Object.entries(packages)) {
    const at = place.lastIndexOf(FOLDER)
    if (at < 0 || link === true) continue
    const name = place.slice(at + FOLDER.length)
    places.set(name, [...(places.get(name) ?? []), place])
  }
  return places
}

/** Undefined for what is not for this machine. */
async function readManifest(checkout: string, place: string, host: string): Promise<Manifest | undefined> {
  const text = await readFile(join(checkout, place, 'package.json'), 'utf8').catch(() => undefined)
  const tarball = `http://${host}/${TARBALLS}${encodeURIComponent(place)}`
  return text === undefined ? undefined : { ...(JSON.parse(text) as Manifest), dist: { tarball } }
}

async function sendTarball(folder: string, response: ServerResponse): Promise<void> {
  const words = ['-czf', '-', '--exclude=node_modules', '-C', dirname(folder), basename(folder)]
  const tar = spawn(findTool('tar') ?? 'tar', words, { stdio: ['ignore', 'pipe', 'ignore'] })
  await pipeline(tar.stdout, response)
}
