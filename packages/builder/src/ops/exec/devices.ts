/** `RUN --device`: names of the Container Device Interface, which of them a build may use, and what they bring, as BuildKit has it. */
import { stepEdits, type CdiDevice, type CdiRegistry, type Executor, type StepEdits } from '@ts-oci/runtime'
import { BuilderError } from '../../base/errors.ts'
import type { ExecSpec } from '../../graph/op-specs.ts'
import type { Vertex } from '../../graph/types.ts'
import type { DeviceRights } from '../environment.ts'
import { location } from './step-errors.ts'

const CLASS = 'org.mobyproject.buildkit.device.class'
const AUTO_ALLOW = 'org.mobyproject.buildkit.device.autoallow'
/** What Go takes for true. */
const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']

type DeviceRequest = NonNullable<ExecSpec['cdiDevices']>[number]

export interface StepDevices {
  /** In the order in which they were asked for, each once. */
  readonly found: readonly CdiDevice[]
  /** Names that a step could do without, and does. */
  readonly missing: readonly string[]
}

/**
 * Finds the devices that a step asks for, and whether the build may use them.
 * @throws OCI_STEP_UNSUPPORTED
 */
export async function findStepDevices(
  rights: DeviceRights,
  vertex: Vertex,
  requests: readonly DeviceRequest[],
): Promise<StepDevices> {
  const registry = await rights.registry()
  const found = new Map<string, CdiDevice>()
  const missing: string[] = []
  const forbidden: string[] = []
  const granted = grantedNames(rights, registry)
  for (const { name: asked, optional } of requests) {
    const alias = rights.names.get(asked)
    const name = alias ?? asked
    const devices = devicesCalled(registry, name)
    if (devices.length === 0 && !optional) throw notRegistered(vertex, name, registry)
    if (devices.length === 0) missing.push(name)
    for (const device of devices) {
      if (rights.all || alias !== undefined || granted.has(device.name) || isAutoAllowed(device))
        found.set(device.name, device)
      else if (!forbidden.includes(device.name)) forbidden.push(device.name)
    }
  }
  if (forbidden.length > 0) throw notAllowed(vertex, forbidden)
  return { found: [...found.values()], missing }
}

function grantedNames({ names }: DeviceRights, registry: CdiRegistry): ReadonlySet<string> {
  return new Set([...names.keys()].flatMap((name) => devicesCalled(registry, name)).map(({ name }) => name))
}

function isAutoAllowed({ annotations }: CdiDevice): boolean {
  return TRUE.includes(annotations[AUTO_ALLOW] ?? '')
}

/** `vendor/class=name`; `vendor/class` is the first of them and `vendor/class=*` all; else a class that devices are marked with. */
function devicesCalled({ devices }: CdiRegistry, asked: string): readonly CdiDevice[] {
  const at = asked.indexOf('=')
  const kind = at === -1 ? asked : asked.slice(0, at)
  const name = at === -1 ? '' : asked.slice(at + 1)
  const all = [...devices.values()]
  const ofKind = all.filter((device) => device.name.startsWith(`${kind}=`))
  const named = name === '' ? ofKind.slice(0, 1) : name === '*' ? ofKind : all.filter((device) => device.name === asked)
  if (/^[^/]+\/./.test(kind) && named.length > 0) return named
  return all.filter(({ annotations }) => annotations[CLASS] === asked)
}

function notRegistered(vertex: Vertex, name: string, { devices, faults }: CdiRegistry): BuilderError {
  const known = devices.size === 0 ? 'no device is registered' : `registered: ${[...devices.keys()].join(', ')}`
  return new BuilderError(
    'OCI_STEP_UNSUPPORTED',
    `failed to load LLB: required device ${JSON.stringify(name)} is not registered`,
    {
      ...location(vertex),
      hint: [`${known} (files in /etc/cdi and /var/run/cdi, or --cdi-spec-dir)`, ...faults].join('; '),
    },
  )
}

function notAllowed(vertex: Vertex, names: readonly string[]): BuilderError {
  const what = names.length === 1 ? `device ${names[0]} is` : `devices ${names.join(', ')} are`
  return new BuilderError(
    'OCI_STEP_UNSUPPORTED',
    `failed to load LLB: ${what} requested by the build but not allowed`,
    {
      ...location(vertex),
      hint: `give --allow device, or ${names.map((name) => `--allow device=${name}`).join(' ')}`,
    },
  )
}

/** What the devices bring, where steps can be given it. @throws OCI_STEP_UNSUPPORTED */
export async function deviceEdits(
  { found }: StepDevices,
  {
    executor,
    vertex,
    user,
  }: {
    readonly executor: Executor
    readonly vertex: Vertex
    readonly user: { readonly uid: number; readonly gid: number }
  },
): Promise<StepEdits> {
  const edits = await stepEdits(found, user)
  // Mounts there are moved into the root and back: nothing of the machine's is.
  if (executor.roots === 'directory' && edits.devices.length + edits.mounts.length > 0)
    throw new BuilderError('OCI_STEP_UNSUPPORTED', `isolation ${executor.isolation} gives steps no devices`, {
      ...location(vertex),
      hint: 'build where steps have namespaces: `tsbuild info` says what is missing',
    })
  return edits
}
