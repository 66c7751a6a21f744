import { locationOf, locationOfUrl, textsField, type Table } from './fields.ts'
import type { Mirror, RegistryEntry, SettingsGroup } from './types.ts'

/**
 * What Docker's `daemon.json` says of registries: mirrors, which are those of Docker Hub, and hosts that are insecure. Networks
 * in CIDR notation are left out: to which of them a name leads, the name server says.
 * @throws OCI_OPTION_INVALID
 */
export function readDaemon(file: string, table: Table): SettingsGroup {
  const insecure = textsField(file, table, 'insecure-registries')
    .filter((text) => !/\/\d{1,3}$/.test(text))
    .map((text) => locationOf(file, text))
  const mirrors = textsField(file, table, 'registry-mirrors').map((text): Mirror => {
    const { location, isPlain } = locationOfUrl(file, text)
    return { location, isInsecure: isPlain || insecure.includes(location), use: 'all' }
  })
  const entry = (prefix: string, isInsecure: boolean, more: readonly Mirror[]): RegistryEntry => {
    return { prefix, location: undefined, isInsecure, isBlocked: false, mirrors: more, file }
  }
  return {
    entries: [
      ...(mirrors.length === 0 ? [] : [entry('docker.io', false, mirrors)]),
      ...insecure.map((host) => entry(host, true, [])),
    ],
    certificates: new Map(),
  }
}
