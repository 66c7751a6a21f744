import { rlimitNumbers, type StepResources } from '@ts-oci/runtime/families'
import { BuilderError, isTsOciError } from '../base/errors.ts'
import { lowerCase } from '../base/text.ts'
import { hostPlatform } from '../oci/platform.ts'
import { canonicalName, parseReference } from '../oci/reference.ts'
import type { Platform } from '../oci/types.ts'
import type { DeviceRights } from '../ops/environment.ts'
import { checkOptionKinds } from './option-kinds.ts'
import { platformOption } from './platform-option.ts'
import type { BuildOptions } from './public-types.ts'
import { checkResources } from './resources.ts'

/** Options with everything filled in and checked, before anything is touched. */
export interface CheckedOptions {
  /** At least one. */
  readonly platforms: readonly Platform[]
  readonly names: readonly string[]
  readonly buildArgs: ReadonlyMap<string, string>
  readonly labels: ReadonlyMap<string, string>
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[]
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | undefined
  readonly resources: StepResources | undefined
  readonly allowed: ReadonlySet<string>
  readonly devices: Omit<DeviceRights, 'registry'>
  /** The last that has a device decides. */
  readonly cdiSpecDirectories: readonly string[]
  /** Seconds. */
  readonly sourceDateEpoch: number | undefined
}

const EPOCH = 'SOURCE_DATE_EPOCH'
const ENTITLEMENTS = ['network.host', 'security.insecure', 'device']
/** Where CDI's own library looks, and BuildKit. */
const CDI_SPEC_DIRECTORIES = ['/etc/cdi', '/var/run/cdi', '/etc/buildkit/cdi']

/**
 * @param ofTheCall names of options that one call has beside those of a build
 * @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED, OCI_REFERENCE_INVALID, OCI_PLATFORM_INVALID
 */
export function checkOptions(options: BuildOptions, ofTheCall: readonly string[] = []): CheckedOptions {
  checkOptionKinds(options, ofTheCall)
  if (options.state !== undefined && options.amend !== undefined)
    throw new BuilderError('OCI_OPTION_INVALID', 'the option amend is about a Dockerfile', {
      hint: 'say it in the state: env(), run(…, { mounts })',
    })
  const platforms = (options.platform ?? '').split(',').filter((part) => part !== '')
  const devices = deviceRights(options.allow ?? [])
  const allowed = new Set((options.allow ?? []).filter((right) => !right.startsWith('device=')))
  for (const name of allowed) {
    if (!ENTITLEMENTS.includes(name))
      throw new BuilderError('OCI_OPTION_INVALID', `unknown entitlement ${name}`, {
        hint: `one of ${ENTITLEMENTS.join(', ')}`,
      })
  }
  // A build that is given the host's network as a whole may name it in a step too, as buildx has it.
  if (options.network === 'host') allowed.add('network.host')
  const buildArgs = new Map(Object.entries(options.buildArgs ?? {}))
  const sourceDateEpoch = options.sourceDateEpoch ?? epochOf(buildArgs.get(EPOCH), true) ?? epochOf(process.env[EPOCH])
  // As buildx has it: a time from outside is a build argument, and an ARG of that name sees it.
  if (sourceDateEpoch !== undefined && !buildArgs.has(EPOCH)) buildArgs.set(EPOCH, String(sourceDateEpoch))
  return {
    platforms: platforms.length === 0 ? [hostPlatform()] : platforms.map(platformOption),
    names: (options.tags ?? []).map(checkTag),
    buildArgs,
    labels: new Map(Object.entries(options.labels ?? {})),
    extraHosts: (options.addHosts ?? []).map(parseHost),
    ulimits: options.ulimits?.map(parseUlimit),
    resources: checkResources(options.resources),
    allowed,
    devices,
    cdiSpecDirectories: options.cdiSpecDirs ?? CDI_SPEC_DIRECTORIES,
    sourceDateEpoch,
  }
}

/** `device` is all of them; `device=NAME[,alias=NAME]` one, and what steps may call it instead. */
function deviceRights(allow: readonly string[]): CheckedOptions['devices'] {
  const names = new Map<string, string | undefined>()
  for (const right of allow.filter((text) => text.startsWith('device='))) {
    const [name = '', ...fields] = right.slice('device='.length).split(',')
    const alias = fields.map((field) => /^alias=(.*)$/s.exec(field)?.[1] ?? invalidDevice(right, field)).at(-1)
    if (name === '') invalidDevice(right, name)
    if (alias) names.set(alias, name)
    else names.set(name, undefined)
  }
  return { all: allow.includes('device'), names }
}

function invalidDevice(right: string, field: string): never {
  throw new BuilderError('OCI_OPTION_INVALID', `invalid entitlement ${right}: ${JSON.stringify(field)}`, {
    hint: 'device, device=VENDOR/CLASS=NAME or device=VENDOR/CLASS=NAME,alias=NAME',
  })
}

/** The name that was probably meant; a tag may have capitals. */
function asName(text: string): string {
  const [tag = ''] = /(?::[^/:]*)?$/.exec(text) ?? []
  return lowerCase(text.slice(0, text.length - tag.length)).replaceAll(/\s+/g, '-') + tag
}

function checkTag(tag: string): string {
  const invalid = (reason: string, more: { hint?: string | undefined; cause?: unknown } = {}): BuilderError =>
    new BuilderError('OCI_REFERENCE_INVALID', `invalid tag ${JSON.stringify(tag)}: ${reason}`, more)
  if (
    /[A-Z]/.test(
      tag
        .replace(/[:@][^/]*$/, '')
        .split('/')
        .at(-1)!,
    )
  )
    throw invalid('repository name must be lowercase', { hint: `as in ${asName(tag)}` })
  // Docker takes `UPPER/x` for an image of a host called UPPER, for its capitals alone: nobody has meant that.
  if (/^(?!localhost\/)(?=[^/]*[A-Z])[^/.:]+\//.test(tag))
    throw invalid('repository name must be lowercase', {
      hint: 'write it in lower case; only a host in front of it, known by a dot or a port, may have capitals',
    })
  try {
    if (parseReference(tag).digest === undefined) return canonicalName(tag)
  } catch (cause) {
    if (isTsOciError(cause)) throw invalid(cause.message, { hint: cause.hint, cause })
    throw cause
  }
  throw invalid('a tag cannot hold a digest')
}

// A build argument may also name what the time is taken from: lowering finds out.
function epochOf(text: string | undefined, mayBeName = false): number | undefined {
  if (text === undefined || text === '') return undefined
  const isNumber = /^-?\d+$/.test(text)
  if (!isNumber && mayBeName) return undefined
  if (!isNumber)
    throw new BuilderError('OCI_OPTION_INVALID', `invalid SOURCE_DATE_EPOCH: ${text}`, {
      hint: 'whole seconds since 1970-01-01',
    })
  return Number(text)
}

function parseHost(text: string): { host: string; ip: string } {
  const at = text.search(/[:=]/)
  const ip = text.slice(at + 1).replace(/^\[(.*)\]$/, '$1')
  // At first need: with all of Node's streams behind it, it costs every command milliseconds.
  const { isIP } = process.getBuiltinModule('node:net')
  // What stands for this machine is known when a step gets its network.
  if (at <= 0 || (isIP(ip) === 0 && ip !== 'host-gateway'))
    throw new BuilderError('OCI_OPTION_INVALID', `invalid host ${text}`, {
      hint: 'name:address, or name:host-gateway for this machine',
    })
  return { host: text.slice(0, at), ip }
}

function parseUlimit(text: string): { name: string; soft: number; hard: number } {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text)
  if (match === null)
    throw new BuilderError('OCI_OPTION_INVALID', `invalid ulimit argument: ${text}`, { hint: 'name=soft[:hard]' })
  const numbers = [match[2]!, match[3] ?? match[2]!]
  // Docker reads signed 64-bit numbers.
  const outside = numbers.find((number) => BigInt.asIntN(64, BigInt(number)) !== BigInt(number))
  if (outside !== undefined)
    throw new BuilderError('OCI_OPTION_INVALID', `invalid ulimit argument: ${text}: ${outside} is out of range`, {
      hint: '-1 is no limit',
    })
  const [soft = 0, hard = 0] = numbers.map(Number)
  const name = match[1]!
  if (!Object.hasOwn(rlimitNumbers, name))
    throw new BuilderError('OCI_OPTION_INVALID', `invalid ulimit type: ${name}`, {
      hint: Object.keys(rlimitNumbers)
        .toSorted((a, b) => (a < b ? -1 : 1))
        .join(', '),
    })
  if (hard !== -1 && (soft === -1 || soft > hard))
    throw new BuilderError(
      'OCI_OPTION_INVALID',
      `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
      { hint: 'name=soft[:hard]; -1 is no limit' },
    )
  return { name, soft, hard }
}
