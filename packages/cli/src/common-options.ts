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
  readonly 'registry-certificate': readonly string[]
  readonly 'retry-delay': string | undefined
}): RegistryOptions {
  return {
    insecureRegistries: flags['insecure-registry'],
    authFile: flags.authfile,
    mirrors: flags['registry-mirror'],
    registriesConf: flags['registries-conf'],
    certDir: flags['cert-dir'],
    certificates: flags['registry-certificate'].map(certificateWord),
    retryDelayMs: delayFlag(flags['retry-delay']),
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

function certificateWord(text: string): string {
  if (/^[^=/,]+=[^,]+(?:,[^,]+)?$/.test(text)) return text
  throw new UsageError(`invalid argument "${text}" for --registry-certificate`, {
    hint: 'HOST=AUTHORITY.crt, or HOST=CLIENT.cert,CLIENT.key',
  })
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }

/** As Go writes a duration of one unit; a bare number is seconds. */
function delayFlag(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? []
  if (number !== undefined) return Number(number) * UNITS_MS[unit]!
  throw new UsageError(`invalid argument "${text}" for --retry-delay`, { hint: 'as in 500ms, 2s or 1m' })
}
