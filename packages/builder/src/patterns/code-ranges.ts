/** Sets of characters as pairs of code points, both ends included, ascending and without overlap. */
export type CodeRanges = readonly number[]

const LAST_CODE = 0x10ffff

export function includesCode(ranges: CodeRanges, code: number): boolean {
  let low = 0
  let high = ranges.length / 2 - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    if (code < ranges[2 * middle]!) high = middle - 1
    else if (code > ranges[2 * middle + 1]!) low = middle + 1
    else return true
  }
  return false
}

/** Brings ranges into order and joins those that meet. */
export function normalizeRanges(ranges: CodeRanges): CodeRanges {
  const pairs: [number, number][] = []
  for (let at = 0; at < ranges.length; at += 2) pairs.push([ranges[at]!, ranges[at + 1]!])
  pairs.sort(([left], [right]) => left - right)
  const result: number[] = []
  for (const [low, high] of pairs) {
    const last = result.length - 1
    if (last > 0 && low <= result[last]! + 1) result[last] = Math.max(result[last]!, high)
    else result.push(low, high)
  }
  return result
}

/** Everything that is in none of these ranges, which are in order. */
export function negateRanges(ranges: CodeRanges): CodeRanges {
  const result: number[] = []
  let from = 0
  for (let at = 0; at < ranges.length; at += 2) {
    if (ranges[at]! > from) result.push(from, ranges[at]! - 1)
    from = ranges[at + 1]! + 1
  }
  if (from <= LAST_CODE) result.push(from, LAST_CODE)
  return result
}

const unicodeSets = new Map<string, CodeRanges | undefined>()

/** A general category (`L`, `Lu`) or a script (`Greek`) of Unicode, or `Any`; undefined: there is none of that name. */
export function unicodeSet(name: string): CodeRanges | undefined {
  if (!unicodeSets.has(name)) unicodeSets.set(name, findUnicodeSet(name))
  return unicodeSets.get(name)
}

function findUnicodeSet(name: string): CodeRanges | undefined {
  if (name === 'Any') return [0, LAST_CODE]
  if (!/^[A-Z][A-Za-z_]*$/.test(name)) return undefined
  let one: RegExp
  try {
    one = new RegExp(name.length <= 2 ? `^\\p{gc=${name}}$` : `^\\p{Script=${name}}$`, 'u')
  } catch {
    return undefined
  }
  const ranges: number[] = []
  for (let code = 0; code <= LAST_CODE; code++) {
    if (!one.test(String.fromCodePoint(code))) continue
    if (ranges.at(-1) === code - 1) ranges[ranges.length - 1] = code
    else ranges.push(code, code)
  }
  return ranges
}
