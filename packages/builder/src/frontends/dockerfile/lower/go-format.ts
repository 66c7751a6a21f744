/** Values as Go prints them: history entries and messages of BuildKit contain them. */
import { quote } from '../../../base/text.ts'

/** `%v` of a list: `[a b]`. */
export function formatList(items: readonly string[]): string {
  return `[${items.join(' ')}]`
}

/** `%q` of a list: `["a" "b"]`. */
export function formatQuotedList(items: readonly string[]): string {
  return formatList(items.map(quote))
}

/** Whole nanoseconds as a duration: `1m30s`, `1.5s`, `100ms`, `0s`. */
export function formatDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s'
  const sign = nanoseconds < 0 ? '-' : ''
  const total = BigInt(Math.trunc(Math.abs(nanoseconds)))
  if (total < 1_000n) return `${sign}${total}ns`
  if (total < 1_000_000n) return `${sign}${decimal(total, 1_000n)}µs`
  if (total < 1_000_000_000n) return `${sign}${decimal(total, 1_000_000n)}ms`
  const minutes = total / 60_000_000_000n
  const seconds = `${decimal(total % 60_000_000_000n, 1_000_000_000n)}s`
  if (minutes === 0n) return sign + seconds
  if (minutes < 60n) return `${sign}${minutes}m${seconds}`
  return `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`
}

function decimal(value: bigint, unit: bigint): string {
  const digits = unit.toString().length - 1
  const fraction = (value % unit).toString().padStart(digits, '0').replace(/0+$/, '')
  return fraction === '' ? `${value / unit}` : `${value / unit}.${fraction}`
}

/** Compact JSON of a list of strings, with `<`, `>` and `&` escaped as Go's encoder does. */
export function formatJsonList(items: readonly string[]): string {
  return JSON.stringify(items).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Seconds of the Unix epoch as the time stamp of an image config. */
export function formatEpoch(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}
