import { flagField, invalid, isTable, locationOf, tablesField, textField, type Table } from './fields.ts'
import type { Mirror, MirrorUse, RegistryEntry } from './types.ts'

/**
 * The registries of a containers-registries.conf(5), version 2. Short names are not resolved by it: they mean Docker Hub
 * here, as in every Dockerfile of Docker.
 * @throws OCI_OPTION_INVALID
 */
export function readRegistriesConf(file: string, table: Table): readonly RegistryEntry[] {
  if (isTable(table['registries']))
    throw invalid(file, 'version 1 ([registries.search], …) is not supported: write a [[registry]] for each')
  const entries = new Map<string, RegistryEntry>()
  for (const registry of tablesField(file, table, 'registry')) {
    const entry = entryOf(file, registry)
    // The first of a prefix counts.
    if (!entries.has(entry.prefix)) entries.set(entry.prefix, entry)
  }
  return [...entries.values()]
}

function entryOf(file: string, table: Table): RegistryEntry {
  const location = textField(file, table, 'location') || undefined
  const prefix = (textField(file, table, 'prefix') || location)?.replace(/\/+$/, '')
  if (prefix === undefined) throw invalid(file, 'a [[registry]] has neither location nor prefix')
  const isWildcard = prefix.startsWith('*.')
  if (isWildcard && !/^\*(?:\.[A-Za-z0-9-]+)+$/.test(prefix))
    throw invalid(file, `${JSON.stringify(prefix)} is to be of the form *.example.com`)
  if (!isWildcard && location === undefined) throw invalid(file, `the prefix ${prefix} has no location`)
  if (!isWildcard) locationOf(file, prefix)
  if (table['pull-from-mirror'] !== undefined)
    throw invalid(file, `pull-from-mirror of ${prefix} stands outside of a [[registry.mirror]]`)
  const byDigest = flagField(file, table, 'mirror-by-digest-only')
  return {
    prefix,
    location: location === undefined ? undefined : locationOf(file, location),
    isInsecure: flagField(file, table, 'insecure'),
    isBlocked: flagField(file, table, 'blocked'),
    mirrors: tablesField(file, table, 'mirror').map((mirror) => mirrorOf(file, mirror, byDigest)),
    file,
  }
}

function mirrorOf(file: string, table: Table, byDigest: boolean): Mirror {
  const location = textField(file, table, 'location') ?? ''
  if (location === '') throw invalid(file, 'a [[registry.mirror]] has no location')
  const use = textField(file, table, 'pull-from-mirror')
  if (use !== undefined && byDigest)
    throw invalid(file, `pull-from-mirror of ${location} contradicts mirror-by-digest-only of its registry`)
  if (use !== undefined && use !== 'all' && use !== 'digest-only' && use !== 'tag-only')
    throw invalid(file, `pull-from-mirror of ${location} is to be all, digest-only or tag-only`)
  const own: MirrorUse = use ?? (byDigest ? 'digest-only' : 'all')
  return { location: locationOf(file, location), isInsecure: flagField(file, table, 'insecure'), use: own }
}
