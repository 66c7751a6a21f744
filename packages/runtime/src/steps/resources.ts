import { RuntimeError } from '../errors.ts'
import { fieldTags } from '../protocol.ts'
import type { FieldWriter } from '../protocol.ts'
import { findResourceFault, slicePath } from './resource-fault.ts'
import type { StepResources } from './types.ts'

/** Kinds of a limit field, as native/launcher/spec.c counts them. */
const kinds = { memory: 0, memorySwap: 1, cpuShares: 2, cpuWeight: 3, cpuQuota: 4, cpuPeriod: 5 } as const

const LEAST_SHARES = 2
const MOST_SHARES = 262_144

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
