import type { ManifestAnnotations, RegistryOptions } from '@ts-oci/builder'
import { registryOptions } from '../../common-options.ts'
import { UsageError } from '../../usage-error.ts'

type RegistryFlags = Parameters<typeof registryOptions>[0]

/** How the registries of a list are reached. */
export function listRegistries(flags: RegistryFlags & { readonly insecure: boolean }): RegistryOptions {
  const insecure = flags.insecure ? ['*'] : []
  return registryOptions({ ...flags, 'insecure-registry': [...flags['insecure-registry'], ...insecure] })
}

/** What is said of an image. @throws UsageError */
export function entryAnnotations(flags: {
  readonly arch: string | undefined
  readonly os: string | undefined
  readonly variant: string | undefined
  readonly 'os-version': string | undefined
  readonly 'os-features': readonly string[]
  readonly annotation: readonly string[]
}): ManifestAnnotations {
  return {
    architecture: flags.arch,
    os: flags.os,
    variant: flags.variant,
    osVersion: flags['os-version'],
    osFeatures: flags['os-features'].flatMap((text) => text.split(',')),
    annotations: Object.fromEntries(flags.annotation.map(pairOf)),
  }
}

function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)]
  throw new UsageError(`invalid argument "${text}" for --annotation`, { hint: '--annotation KEY=VALUE' })
}
