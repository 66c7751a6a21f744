import { RuntimeError } from '../errors.ts'
import { fieldTags } from '../protocol.ts'
import type { FieldWriter } from '../protocol.ts'
import type { StepResources } from './types.ts'

/** Kinds of a limit field, as native/launcher/spec.c counts them. */
const kinds = { memory: 0, memorySwap: 1, cpuShares: 2, cpuWeight: 3, cpuQuota: 4, cpuPeriod: 5 } as const

const LEAST_SHARES = 2
const MOST_SHARES = 262_144

/**
 * Says what is wrong with limits, in the names that the `--resource` flag of buildx gives them; undefined when nothing is.
 * Sources: BuildKit's frontend/dockerui/attr.go, and the kernel's cgroup documentation.
 */
export function findResourceFault(resources: StepResources): string | undefined {
  const { memoryBytes, memorySwapBytes, cpuShares, cpuQuotaUs, cpuPeriodUs } = resources
  const positive = (name: string, value: number | undefined): string | undefined =>
    value === undefined || (Number.isSafeInteger(value) && value > 0) ? undefined : `${name} must be > 0`
  const list = (name: string, value: string | undefined): string | undefined =>
    value === undefined || isNumberList(value) ? undefined : `${name} must be a list as 0-2,4`
  return (
    positive('memory', memoryBytes) ??
    (memorySwapBytes === -1 ? undefined : positive('memory-swap', memorySwapBytes)) ??
    (memorySwapBytes !== undefined && memoryBytes === undefined ? 'memory-swap needs memory' : undefined) ??
    (memorySwapBytes !== undefined && memorySwapBytes !== -1 && memorySwapBytes < (memoryBytes ?? 0)
      ? 'memory-swap counts memory and swap together, so it must not be less than memory'
      : undefined) ??
    positive('cpu-shares', cpuShares) ??
    positive('cpu-quota', cpuQuotaUs) ??
    positive('cpu-period', cpuPeriodUs) ??
    list('cpuset-cpus', resources.cpusetCpus) ??
    list('cpuset-mems', resources.cpusetMems) ??
    parentFault(resources.cgroupParent)
  )
}

function isNumberList(text: string): boolean {
  return text.split(',').every((part) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part)
    return match !== null && Number(match[1]) <= Number(match[2] ?? match[1])
  })
}

function parentFault(parent: string | undefined): string | undefined {
  if (parent === undefined || slicePath(parent) !== undefined) return undefined
  return /^\/[^\0]*$/.test(parent) && !parent.split('/').includes('..')
    ? undefined
    : 'cgroup-parent must be an absolute path in the hierarchy, as /builds, or a slice of systemd, as builds.slice'
}

/** `a-b.slice` is `/a.slice/a-b.slice` (systemd.slice(5)). */
function slicePath(name: string): string | undefined {
  const stem = /^([^/]+)\.slice$/.exec(name)?.[1]
  if (stem === undefined || stem.split('-').includes('')) return undefined
  const parts = stem.split('-')
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('-')}.slice`).join('')
}

/** Version 2 counts otherwise: 1024 shares are a weight of 100 (the formula of opencontainers/cgroups since 0.0.4). */
function weightOf(shares: number): number {
  const exponent = Math.log2(Math.min(Math.max(shares, LEAST_SHARES), MOST_SHARES))
  return Math.ceil(10 ** ((exponent ** 2 + 125 * exponent) / 612 - 7 / 34))
}

/** Writes the fields of limits. Throws OCI_RUNTIME_UNSUPPORTED for a value that is none. */
export function resourceFields(fields: FieldWriter, resources: StepResources, step: string): void {
  const fault = findResourceFault(resources)
  if (fault !== undefined) throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `${step}: ${fault}`)
  const { cpuShares, cgroupParent } = resources
  const limit = (kind: keyof typeof kinds, value: number | undefined): void => {
    if (value === undefined) return
    const content = Buffer.alloc(12)
    content.writeUInt32LE(kinds[kind], 0)
    content.writeBigInt64LE(BigInt(value), 4)
    fields.bytes(fieldTags.limit, content)
  }
  limit('memory', resources.memoryBytes)
  limit('memorySwap', resources.memorySwapBytes)
  limit('cpuShares', cpuShares)
  limit('cpuWeight', cpuShares === undefined ? undefined : weightOf(cpuShares))
  limit('cpuQuota', resources.cpuQuotaUs)
  limit('cpuPeriod', resources.cpuPeriodUs)
  if (resources.cpusetCpus !== undefined) fields.string(fieldTags.limitCpus, resources.cpusetCpus)
  if (resources.cpusetMems !== undefined) fields.string(fieldTags.limitMems, resources.cpusetMems)
  if (cgroupParent !== undefined) fields.string(fieldTags.cgroupParent, slicePath(cgroupParent) ?? cgroupParent)
}
