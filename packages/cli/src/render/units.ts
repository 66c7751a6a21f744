const decimalUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Bytes as Docker's tables show sizes: three significant digits, powers of 1000 (`4.43MB`, `72.8kB`, `0B`). */
export function humanSize(bytes: number): string {
  const { value, unit } = scale(bytes)
  const text = value >= 999.5 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
  return `${text}${unit}`
}

/** Bytes as buildx's tables show them: four significant digits (`943.6MB`, `20.48kB`, `0B`). */
export function exactSize(bytes: number): string {
  const { value, unit } = scale(bytes)
  return `${value >= 999.95 ? value.toFixed(0) : String(Number(value.toPrecision(4)))}${unit}`
}

/** Bytes as BuildKit's progress shows transfers: two decimals, powers of 1000 (`1.05kB`, `312B`). */
export function transferSize(bytes: number): string {
  const { value, unit } = scale(bytes)
  return unit === 'B' ? `${Math.round(value)}B` : `${value.toFixed(2)}${unit}`
}

/** A duration as Docker's tables show ages: `2 hours`, `About a minute`, `3 weeks`. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.floor(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.floor(seconds / 3600 + 0.5)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 14) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 60) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 730) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(hours / 24 / 365)} years`
}

function scale(bytes: number): { value: number; unit: string } {
  let value = bytes
  let step = 0
  while (value >= 1000 && step < decimalUnits.length - 1) {
    value /= 1000
    step++
  }
  return { value, unit: decimalUnits[step] ?? 'B' }
}

/** `64m`, `1g`, `512` to bytes, with powers of 1024 as Docker reads them, what exceeds any memory as that; undefined when it is no size. */
export function parseBinarySize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)i?b?$/i.exec(text.trim())
  if (match === null) return undefined
  const power = ' kmgtp'.indexOf((match[2] ?? '').toLowerCase() || ' ')
  return Math.min(Math.floor(Number(match[1]) * 1024 ** power), Number.MAX_SAFE_INTEGER)
}

/** `24h`, `1h30m`, `90s` (Go's durations) to milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (factors[unit ?? ''] ?? 0), 0)
}

/** `2 hours ago`; `N/A` for a time that is not known. */
export function ageOf(createdMs: number | undefined, nowMs: number = Date.now()): string {
  return createdMs === undefined ? 'N/A' : `${humanDuration(nowMs - createdMs)} ago`
}

/** A time as Go prints it, in UTC: `2024-01-01 00:00:00.25 +0000 UTC`. */
export function goTime(ms: number): string {
  const [seconds = '', fraction = ''] = new Date(ms).toISOString().slice(0, 23).replace('T', ' ').split('.')
  const digits = fraction.replace(/0+$/, '')
  return `${seconds}${digits === '' ? '' : `.${digits}`} +0000 UTC`
}

/** A date as Docker's tables show it, in UTC: `2024-01-01 00:00:00 +0000 UTC`. */
export function dateOf(createdMs: number | undefined): string {
  if (createdMs === undefined) return 'N/A'
  return `${new Date(createdMs).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`
}
