import { flagField, invalid, isTable, locationOfUrl, tablesField, textField, textsField, type Table } from './fields.ts'
import type { Certificates, RegistryEntry, SettingsGroup } from './types.ts'

/** The `[registry."HOST"]` of BuildKit's `buildkitd.toml`; the rest of it is about its daemon. @throws OCI_OPTION_INVALID */
export function readBuildkitd(file: string, table: Table): SettingsGroup {
  const registries = new Map<string, Table>()
  for (const [name, registry] of Object.entries(table['registry'] as Table)) {
    if (!isTable(registry)) throw invalid(file, `registry.${JSON.stringify(name)} is to be a table`)
    registries.set(name, registry)
  }
  const isInsecure = (name: string): boolean => {
    const registry = registries.get(name)
    return registry !== undefined && (flagField(file, registry, 'http') || flagField(file, registry, 'insecure'))
  }
  const entries = [...registries].map(([name, registry]): RegistryEntry => {
    const mirrors = textsField(file, registry, 'mirrors').map((text) => {
      const { location, isPlain } = locationOfUrl(file, text)
      // What is said of a mirror stands in a table of its own.
      return { location, isInsecure: isPlain || isInsecure(location.split('/')[0] ?? ''), use: 'all' as const }
    })
    return { prefix: name, location: undefined, isInsecure: isInsecure(name), isBlocked: false, mirrors, file }
  })
  const certificates = new Map([...registries].map(([name, registry]) => [name, certificatesOf(file, registry)]))
  return { entries, certificates }
}

function certificatesOf(file: string, registry: Table): Certificates {
  const pairs = tablesField(file, registry, 'keypair').map((pair) => {
    const [key, certificate] = [textField(file, pair, 'key'), textField(file, pair, 'cert')]
    if (key === undefined || certificate === undefined) throw invalid(file, 'a keypair wants key and cert')
    return { key, certificate }
  })
  return { authorities: textsField(file, registry, 'ca'), pairs }
}
