import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SpecFault } from './decode.ts'
import { readSpec } from './spec.ts'
import type { CdiDevice, CdiRegistry, CdiSpec } from './types.ts'

/**
 * Reads all specifications (`*.json`, `*.yaml`) of directories. A device of a later directory takes the place of one of the
 * same name in an earlier one; one that two files of a directory have is not known at all. A directory that is not there is empty.
 */
export async function loadCdiRegistry(directories: readonly string[]): Promise<CdiRegistry> {
  const faults: string[] = []
  const found = new Map<string, CdiDevice>()
  const twice = new Set<string>()
  for (const directory of directories) {
    const own = new Map<string, CdiDevice>()
    for (const path of specPaths(directory, faults)) {
      const spec = await readFile(path, faults)
      for (const device of spec === undefined ? [] : devicesOf(spec, path)) {
        const other = own.get(device.name)
        if (other !== undefined) {
          faults.push(`${device.name} stands in ${other.spec.path} and in ${path}: neither is used`)
          twice.add(device.name)
        }
        own.set(device.name, device)
      }
    }
    for (const [name, device] of own) found.set(name, device)
  }
  for (const name of twice) found.delete(name)
  const sorted = [...found].sort(([a], [b]) => (a < b ? -1 : 1))
  return { devices: new Map(sorted), faults }
}

function specPaths(directory: string, faults: string[]): readonly string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory() && /\.(json|yaml)$/.test(entry.name))
      .map((entry) => join(directory, entry.name))
      .sort()
  } catch (error) {
    if (existsSync(directory)) faults.push(`${directory} is not read: ${messageOf(error)}`)
    return []
  }
}

async function readFile(path: string, faults: string[]): Promise<CdiSpec | undefined> {
  try {
    const content = readFileSync(path, 'utf8')
    return readSpec(await parse(content, path))
  } catch (error) {
    faults.push(`${path} is not read: ${messageOf(error)}`)
    return undefined
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function parse(content: string, path: string): Promise<unknown> {
  if (path.endsWith('.json')) return JSON.parse(content)
  // Its main file is CommonJS: bundled, that has a default alone.
  const { default: yaml } = await import('yaml')
  // As the library of the specification reads it: `0660` is octal. A few aliases are ordinary, a bomb of them is not.
  const data: unknown = yaml.parse(content, { version: '1.1', strict: true, maxAliasCount: 100 })
  if (data === null || data === undefined) throw new SpecFault('it is empty')
  return data
}

function devicesOf(spec: CdiSpec, path: string): readonly CdiDevice[] {
  return spec.devices.map((device) => ({
    name: `${spec.kind}=${device.name}`,
    annotations: { ...spec.annotations, ...device.annotations },
    edits: device.containerEdits,
    spec: { path, edits: spec.containerEdits ?? {} },
  }))
}
