import type { BuildOptions } from '@ts-oci/builder'
import type { build } from '../flags.ts'
import type { Input } from '../flag-types.ts'
import { parseBinarySize } from '../render/units.ts'
import { UsageError } from '../usage-error.ts'
import { splitOnce } from './csv.ts'

type Resources = { -readonly [Name in keyof NonNullable<BuildOptions['resources']>]: string | number | undefined }

const KEYS = ['memory', 'memory-swap', 'cpu-shares', 'cpu-period', 'cpu-quota', 'cpuset-cpus', 'cpuset-mems'] as const
type Key = (typeof KEYS)[number]

const NAMES = {
  memory: 'memoryBytes',
  'memory-swap': 'memorySwapBytes',
  'cpu-shares': 'cpuShares',
  'cpu-period': 'cpuPeriodUs',
  'cpu-quota': 'cpuQuotaUs',
  'cpuset-cpus': 'cpusetCpus',
  'cpuset-mems': 'cpusetMems',
} as const satisfies Readonly<Record<Key, keyof Resources>>

/** Of buildx' `--resource` and Docker's classic flags; of one that is given twice the former counts. @throws UsageError */
export function resourceOptions(flags: Input<typeof build>['flags']): BuildOptions['resources'] {
  const resources: Resources = { cgroupParent: flags['cgroup-parent'] || undefined }
  for (const key of KEYS) {
    const text = flags[key]
    if (text !== undefined) resources[NAMES[key]] = valueOf(key, text, `--${key}`)
  }
  for (const text of flags.resource) {
    const [word, value] = splitOnce(text, '=').map((part) => part?.trim())
    if (value === undefined)
      throw new UsageError(`invalid resource "${text}", expected key=value`, { hint: 'as in --resource memory=2g' })
    const key = KEYS.find((one) => one === word)
    if (key === undefined) throw new UsageError(`unknown resource "${word}"`, { hint: `one of ${KEYS.join(', ')}` })
    resources[NAMES[key]] = valueOf(key, value, `resource ${key}`)
  }
  const isGiven = Object.values(resources).some((value) => value !== undefined)
  return isGiven ? (resources as BuildOptions['resources']) : undefined
}

/** As with Docker 0 asks for nothing, and so does a quota of -1. */
function valueOf(key: Key, text: string, where: string): string | number | undefined {
  if (key === 'cpuset-cpus' || key === 'cpuset-mems') return text === '' ? undefined : text
  const isSize = key === 'memory' || key === 'memory-swap'
  const value = text === '-1' ? -1 : isSize ? parseBinarySize(text) : /^\d{1,15}$/.test(text) ? Number(text) : undefined
  if (value === undefined || (value === -1 && key !== 'memory-swap' && key !== 'cpu-quota'))
    throw new UsageError(`invalid value "${text}" for ${where}`, {
      hint: isSize ? 'as in 64m or 2g' : 'a whole number',
    })
  return value === 0 || (value === -1 && key === 'cpu-quota') ? undefined : value
}
