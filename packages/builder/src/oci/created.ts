/** Go's zero time: what Docker and BuildKit write, and we keep, where nobody knows when something was made. */
const UNKNOWN_TIME_MS: number = Date.parse('0001-01-01T00:00:00Z')

/** Milliseconds of a `created` of an image config; {@link UNKNOWN_TIME_MS} where it says nothing. */
export function timeOf(created: string | undefined): number {
  const time = created === undefined ? Number.NaN : Date.parse(created)
  return Number.isNaN(time) ? UNKNOWN_TIME_MS : time
}

/** The time, or undefined for one that stands for none; zone offsets move the zero time by a day at most. */
export function knownTime(ms: number): number | undefined {
  return ms < UNKNOWN_TIME_MS + 9 * 86_400_000 ? undefined : ms
}
