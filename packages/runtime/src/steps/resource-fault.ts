import type { StepResources } from './types.ts'

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

/** The place of a slice: `a-b.slice` is `/a.slice/a-b.slice` (systemd.slice(5)); undefined for another name. */
export function slicePath(name: string): string | undefined {
  const stem = /^([^/]+)\.slice$/.exec(name)?.[1]
  if (stem === undefined || stem.split('-').includes('')) return undefined
  const parts = stem.split('-')
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('-')}.slice`).join('')
}
