import { findResourceFault, type StepResources } from '@ts-oci/runtime/families'
import { BuilderError } from '../base/errors.ts'
import { findSuggestion } from '../base/suggest.ts'
import type { BuildResources } from './public-types.ts'

const KINDS: Readonly<Record<keyof BuildResources, 'number' | 'string'>> = {
  memoryBytes: 'number',
  memorySwapBytes: 'number',
  cpuShares: 'number',
  cpuQuotaUs: 'number',
  cpuPeriodUs: 'number',
  cpusetCpus: 'string',
  cpusetMems: 'string',
  cgroupParent: 'string',
}

/**
 * Limits with those that are undefined left out; undefined where none is left.
 * @throws BuilderError OCI_OPTION_INVALID
 */
export function checkResources(resources: BuildResources | undefined): StepResources | undefined {
  const given = Object.entries(resources ?? {}).filter(([, value]) => value !== undefined)
  if (given.length === 0) return undefined
  for (const [name, value] of given) {
    const kind = Object.hasOwn(KINDS, name) ? KINDS[name as keyof BuildResources] : undefined
    if (kind === undefined) {
      const near = findSuggestion(name, Object.keys(KINDS), { caseSensitive: true })
      throw new BuilderError('OCI_OPTION_INVALID', `unknown resource ${name}`, {
        hint: near === undefined ? `known: ${Object.keys(KINDS).join(', ')}` : `did you mean ${near}?`,
      })
    }
    if (typeof value !== kind)
      throw new BuilderError('OCI_OPTION_INVALID', `the resource ${name} has to be a ${kind}, not a ${typeof value}`)
  }
  const limits = Object.fromEntries(given) as StepResources
  const fault = findResourceFault(limits)
  if (fault !== undefined) throw new BuilderError('OCI_OPTION_INVALID', `invalid resource: ${fault}`)
  return limits
}
