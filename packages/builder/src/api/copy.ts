import type { CopyOptions, CopyOutcome } from './travel/copy.ts'

export type { CopyOptions, CopyOutcome, CopyPlaceOptions } from './travel/copy.ts'

/**
 * Copies an image from one place to another, both written as `TRANSPORT:REST` (`docker://debian:12`, `oci:DIRECTORY`). What
 * is not asked for does not change: where nothing is converted the digest stays. Blobs between registries pass through
 * memory alone, or are mounted.
 * @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED for the places and what they cannot take; else what the places throw
 * @example
 * await copy('docker://debian:12', 'oci-archive:debian.tar', { multiArch: 'all' })
 */
export async function copy(source: string, destination: string, options: CopyOptions = {}): Promise<CopyOutcome> {
  const travel = await import('./travel/copy.ts')
  return travel.copy(source, destination, options)
}
