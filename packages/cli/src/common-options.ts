import type { RegistryOptions } from '@ts-oci/builder'
import { UsageError } from './usage-error.ts'

/** The flags that say how registries are reached, as the library takes them. @throws UsageError */
export function registryOptions(flags: {
  readonly 'insecure-registry': readonly string[]
  readonly authfile: string | undefined
  readonly retry: string | undefined
  readonly 'registry-mirror': readonly string[]
  readonly 'registries-conf': string | undefined
  readonly 'cert-dir': string | undefined
}): RegistryOptions {
  return {
    insecureRegistries: flags['insecure-registry'],
    authFile: flags.authfile,
    mirrors: flags['registry-mirror'],
    registriesConf: flags['registries-conf'],
    certDir: flags['cert-dir'],
    retries: numberFlag('retry', flags.retry, 0),
  }
}

/** A whole number of at least `least`. @throws UsageError */
export function numberFlag(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new UsageError(`invalid argument "${text}" for --${name}`, { hint: `a whole number, at least ${least}` })
}
