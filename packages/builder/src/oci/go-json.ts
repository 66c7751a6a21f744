/**
 * JSON as Go's encoding/json writes it: BuildKit, containerd and the registries' tools hash those bytes, so an image
 * that is to have their digests has to spell them alike.
 */

// Go escapes these three for HTML and these two for JavaScript's sake; all else JSON.stringify spells the same.
const ESCAPED = /[<>&\u2028\u2029]/g

/** Compact JSON with Go's escapes. Members are written in the order of the object; undefined ones are left out. */
export function goJson(value: unknown): string {
  return escapeAsGo(JSON.stringify(value))
}

/** As {@link goJson}, indented by two spaces, no final newline (Go's `MarshalIndent(v, "", "  ")`). */
export function goJsonIndented(value: unknown): string {
  return escapeAsGo(JSON.stringify(value, null, 2))
}

function escapeAsGo(json: string): string {
  return json.replace(ESCAPED, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Orders by UTF-8 bytes, as Go sorts the keys of a map; JavaScript's own order differs above U+D7FF. */
export function compareUtf8(left: string, right: string): number {
  return left === right ? 0 : Buffer.compare(Buffer.from(left), Buffer.from(right))
}

/** A map as Go writes it: keys sorted; undefined when it is empty or absent (`omitempty`). */
export function sortedMap<Value>(map: Readonly<Record<string, Value>> | undefined): Record<string, Value> | undefined {
  const keys = Object.keys(map ?? {}).sort(compareUtf8)
  if (map === undefined || keys.length === 0) return undefined
  const sorted = Object.fromEntries(keys.map((key) => [key, map[key] as Value]))
  // A JavaScript object lists keys that look like integers first, however they were inserted: a proxy keeps Go's order.
  return keys.some((key) => /^\d+$/.test(key)) ? new Proxy(sorted, { ownKeys: () => keys }) : sorted
}

/** The list, or undefined when it is empty or absent (`omitempty`). */
export function nonEmpty<Item>(list: readonly Item[] | undefined): readonly Item[] | undefined {
  return list === undefined || list === null || list.length === 0 ? undefined : list
}

/**
 * A time as Go writes it (RFC 3339, fraction without trailing zeros, `Z` for UTC).
 * @returns undefined when `text` is no RFC 3339 time
 */
export function normalizeTime(text: string): string | undefined {
  const match = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)$/.exec(text)
  if (match === null || Number.isNaN(Date.parse(text.replace(',', '.')))) return undefined
  const fraction = (match[3] ?? '').slice(0, 9).replace(/0+$/, '')
  const zone = /^[Zz]$|^\+00:00$/.test(match[4] as string) ? 'Z' : (match[4] as string)
  return `${match[1]}T${match[2]}${fraction === '' ? '' : `.${fraction}`}${zone}`
}

/** A time in milliseconds of the Unix epoch as Go writes it, in UTC. */
export function formatTime(milliseconds: number): string {
  return normalizeTime(new Date(Math.trunc(milliseconds)).toISOString()) as string
}

/** Compares two RFC 3339 times to the nanosecond: negative when `left` is earlier. */
export function compareTimes(left: string, right: string): number {
  const [leftSeconds, leftFraction] = splitTime(left)
  const [rightSeconds, rightFraction] = splitTime(right)
  if (leftSeconds !== rightSeconds) return leftSeconds - rightSeconds
  return leftFraction < rightFraction ? -1 : leftFraction > rightFraction ? 1 : 0
}

function splitTime(text: string): [seconds: number, fraction: string] {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? ''
  return [Math.floor(Date.parse(text.replace(/\.\d+/, '')) / 1000), fraction.padEnd(9, '0')]
}
