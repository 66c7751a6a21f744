import { flag, integer, listOf, objectOf, SpecFault, text, textMap } from './decode.ts'
import type { CdiDeviceNode, CdiSpec, ContainerEdits } from './types.ts'

const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0', '1.0.0', '1.1.0']
const HOOKS = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop']
const NODE_TYPES = ['b', 'c', 'u', 'p']

const int64 = integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
const uint32 = integer(0, 2 ** 32 - 1)

const edits = objectOf({
  env: listOf(text),
  deviceNodes: listOf(
    objectOf({
      path: text,
      hostPath: text,
      type: text,
      major: int64,
      minor: int64,
      fileMode: uint32,
      permissions: text,
      uid: uint32,
      gid: uint32,
    }),
  ),
  netDevices: listOf(objectOf({ hostInterfaceName: text, name: text })),
  hooks: listOf(objectOf({ hookName: text, path: text, args: listOf(text), env: listOf(text), timeout: int64 })),
  mounts: listOf(objectOf({ hostPath: text, containerPath: text, options: listOf(text), type: text })),
  intelRdt: objectOf({
    closID: text,
    l3CacheSchema: text,
    memBwSchema: text,
    schemata: listOf(text),
    enableMonitoring: flag,
  }),
  additionalGids: listOf(uint32),
})

const spec = objectOf({
  cdiVersion: text,
  kind: text,
  annotations: textMap,
  devices: listOf(objectOf({ name: text, annotations: textMap, containerEdits: edits })),
  containerEdits: edits,
})

/**
 * Reads the data of a file, and checks what the specification asks of it.
 * @throws SpecFault
 */
export function readSpec(data: unknown): CdiSpec {
  const read = spec(data, '') as Partial<CdiSpec>
  const { cdiVersion = '', kind = '', devices = [] } = read
  const complete: CdiSpec = {
    ...read,
    cdiVersion,
    kind,
    devices: devices.map((device) => ({
      ...device,
      name: device.name ?? '',
      containerEdits: device.containerEdits ?? {},
    })),
  }
  checkVersion(complete)
  const [vendor = '', className = ''] = splitOnce(kind)
  checkName('vendor', vendor, /^[A-Za-z]/, /[^\w.-]/)
  checkName('class', className, /^[A-Za-z]/, /[^\w.-]/)
  checkEdits(complete.containerEdits ?? {})
  for (const device of complete.devices) checkDevice(device, complete)
  if (devices.length === 0) throw new SpecFault('it has no devices')
  return complete
}

function splitOnce(kind: string): readonly string[] {
  const at = kind.indexOf('/')
  return at === -1 ? ['', kind] : [kind.slice(0, at), kind.slice(at + 1)]
}

function checkName(what: string, name: string, first: RegExp, outside: RegExp): void {
  if (name === '' || !first.test(name) || outside.test(name) || !/[A-Za-z0-9]$/.test(name))
    throw new SpecFault(`invalid ${what} ${JSON.stringify(name)}`)
}

function checkDevice({ name, containerEdits }: CdiSpec['devices'][number], { devices }: CdiSpec): void {
  checkName('device name', name, /^[A-Za-z0-9]/, /[^\w.:-]/)
  if (devices.filter((device) => device.name === name).length > 1) throw new SpecFault(`it has two devices ${name}`)
  if (Object.values(containerEdits).every((value) => Array.isArray(value) && value.length === 0))
    throw new SpecFault(`device ${name} edits nothing`)
  checkEdits(containerEdits)
}

function checkEdits({ env = [], deviceNodes = [], hooks = [], mounts = [] }: ContainerEdits): void {
  for (const entry of env)
    if (entry.indexOf('=') <= 0) throw new SpecFault(`invalid environment variable ${JSON.stringify(entry)}`)
  for (const node of deviceNodes) checkNode(node)
  for (const { hookName, path } of hooks) {
    if (!HOOKS.includes(hookName)) throw new SpecFault(`invalid hook name ${JSON.stringify(hookName)}`)
    if (!path) throw new SpecFault(`hook ${hookName} has no path`)
  }
  for (const { hostPath, containerPath } of mounts)
    if (!hostPath || !containerPath) throw new SpecFault('a mount needs hostPath and containerPath')
}

function checkNode({ path, type, permissions = '' }: CdiDeviceNode): void {
  if (!path) throw new SpecFault('a device node has no path')
  if (type !== undefined && type !== '' && !NODE_TYPES.includes(type))
    throw new SpecFault(`device ${path}: invalid type ${JSON.stringify(type)}`)
  if (permissions !== 'none' && /[^rwm]/.test(permissions))
    throw new SpecFault(`device ${path}: invalid permissions ${JSON.stringify(permissions)}`)
}

/** What a file may say depends on the version that it names. */
function checkVersion(read: CdiSpec): void {
  const version = VERSIONS.indexOf(read.cdiVersion.replace(/^v/, ''))
  if (version === -1) throw new SpecFault(`invalid version ${JSON.stringify(read.cdiVersion)}`)
  const least = leastVersion(read)
  if (VERSIONS.indexOf(least) > version) throw new SpecFault(`the spec version must be at least v${least}`)
}

function leastVersion(read: CdiSpec): string {
  const all = [read.containerEdits ?? {}, ...read.devices.map(({ containerEdits }) => containerEdits)]
  const has = (test: (edit: ContainerEdits) => unknown): boolean => all.some((edit) => Boolean(test(edit)))
  const annotated = [read, ...read.devices].some(({ annotations = {} }) => Object.keys(annotations).length > 0)
  if (has(({ intelRdt }) => intelRdt?.['schemata'] ?? intelRdt?.['enableMonitoring'])) return '1.1.0'
  if (has(({ netDevices }) => netDevices?.length)) return '1.1.0'
  if (has(({ intelRdt, additionalGids }) => intelRdt ?? additionalGids?.length)) return '0.7.0'
  if (annotated || splitOnce(read.kind)[1]?.includes('.')) return '0.6.0'
  if (read.devices.some(({ name }) => /^\d/.test(name))) return '0.5.0'
  if (has(({ deviceNodes = [] }) => deviceNodes.some(({ hostPath }) => hostPath))) return '0.5.0'
  if (has(({ mounts = [] }) => mounts.some(({ type }) => type))) return '0.4.0'
  return '0.3.0'
}
