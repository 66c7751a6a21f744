import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RegistrySettings, SettingsFile } from './settings/types.ts'
import type { ResolvedOptions } from './options.ts'

/**
 * What the user and the machine say about registries: mirrors, rewrites, what is blocked, what is insecure. Undefined where
 * nobody says anything: then no more than the absence of some files was looked at, and nothing is loaded.
 * @throws OCI_OPTION_INVALID
 */
export async function loadSettings(options: ResolvedOptions): Promise<RegistrySettings | undefined> {
  const files = settingsFiles(options).filter(saysSomething)
  if (files.length === 0 && options.mirrors.length === 0) return undefined
  const { readSettings } = await import('./settings/read.ts')
  return readSettings(files, options.mirrors)
}

/** Lines of TOML that begin to speak of registries, keys of JSON that do. */
const TELLING =
  /^[ \t]*(?:\[+[ \t]*["']?registr(?:y|ies)\b|["']?registry["']?[ \t]*(?:=[ \t]*[[{]|\.))|"(?:registry-mirrors|insecure-registries)"/m

/**
 * Most machines of Debian have files that say nothing but short names: to find that out must not load what reads them. A file
 * that cannot be read is told by who reads it.
 */
function saysSomething({ path, dropIns, isNamed }: SettingsFile): boolean {
  return isNamed || [path, ...dropIns].some((one) => TELLING.test(textOf(one)))
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? '' : '[registry]'
  }
}

/** Files of settings that are there, the most telling first. */
export function settingsFiles({ environment, registriesConf }: ResolvedOptions): readonly SettingsFile[] {
  const named = registriesConf ?? (environment['CONTAINERS_REGISTRIES_CONF'] || undefined)
  if (named !== undefined) return [{ path: named, dropIns: [], isNamed: true }]
  const home = environment['HOME'] || '/nonexistent'
  const config = environment['XDG_CONFIG_HOME'] || join(home, '.config')
  const other = [
    join(config, 'buildkit/buildkitd.toml'),
    '/etc/buildkit/buildkitd.toml',
    join(config, 'docker/daemon.json'),
    '/etc/docker/daemon.json',
  ].filter((path) => existsSync(path))
  return [
    ...containersFiles(join(config, 'containers/registries.conf')),
    ...other.map((path) => ({ path, dropIns: [], isNamed: false })),
  ]
}

/** The user's file hides the system's, and its drop-ins, too. */
function containersFiles(own: string): readonly SettingsFile[] {
  const system = '/etc/containers/registries.conf'
  const isOwn = existsSync(own)
  const dropIns = [...(isOwn ? [] : confFiles(`${system}.d`)), ...confFiles(`${own}.d`)]
  const path = isOwn ? own : system
  return isOwn || existsSync(system) || dropIns.length > 0 ? [{ path, dropIns, isNamed: false }] : []
}

function confFiles(folder: string): readonly string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.conf'))
    return names.toSorted().map((name) => join(folder, name))
  } catch {
    return []
  }
}
