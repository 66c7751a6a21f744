/**
 * A bound in time as Docker's filters take it: a Go duration before now (`24h`, `1h30m`), a date or time of RFC 3339, also without
 * a zone (then UTC), or seconds of the Unix epoch. Milliseconds of the epoch; undefined for another text.
 */
export function parseTimeBound(text: string, nowMs: number): number | undefined {
  const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  if (/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
    return nowMs - parts.reduce((sum, [, count, unit]) => sum + Number(count) * (factors[unit ?? ''] ?? 0), 0)
  }
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  const [, date, time, zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? []
  if (date === undefined) return undefined
  const ms = Date.parse(`${date}T${time === undefined ? '00:00' : time}${zone}`)
  return Number.isNaN(ms) ? undefined : ms
}
