/** Go's path.Match, by which Docker filters images: `*` and `?` stop at a slash, `[a-z]`, `[^a]`, `\` quotes. */

type Place = { readonly isNegated: boolean; readonly ranges: readonly (readonly [low: number, high: number])[] } | '*'

const SLASH = 0x2f
const NO_SLASH: Place = { isNegated: true, ranges: [[SLASH, SLASH]] }

/** A test in time linear in pattern and name; undefined when the pattern is malformed. */
export function namePattern(pattern: string): ((name: string) => boolean) | undefined {
  const places = readPlaces(codesOf(pattern))
  return places && ((name) => matches(places, codesOf(name)))
}

// Where it does not go on, the last star takes one character more. No earlier one need be asked again: what the last one
// can reach, they could only reach as well.
function matches(places: readonly Place[], codes: readonly number[]): boolean {
  let at = 0
  let place = 0
  let star: { readonly place: number; at: number } | undefined
  while (at < codes.length) {
    const wanted = places[place]
    if (wanted === '*') star = { place: ++place, at }
    else if (wanted !== undefined && takes(wanted, codes[at]!)) {
      at++
      place++
    } else {
      if (star === undefined || codes[star.at] === SLASH) return false
      place = star.place
      at = ++star.at
    }
  }
  while (places[place] === '*') place++
  return place === places.length
}

function takes({ isNegated, ranges }: Exclude<Place, '*'>, code: number): boolean {
  return ranges.some(([low, high]) => low <= code && code <= high) !== isNegated
}

function readPlaces(codes: readonly number[]): Place[] | undefined {
  const places: Place[] = []
  for (let at = 0; at < codes.length; at++) {
    const character = String.fromCodePoint(codes[at]!)
    if (character === '*') places.push('*')
    else if (character === '?') places.push(NO_SLASH)
    else if (character === '[') {
      const set = readSet(codes, at + 1)
      if (set === undefined) return undefined
      places.push(set.place)
      at = set.end
    } else {
      if (character === '\\' && ++at === codes.length) return undefined
      places.push({ isNegated: false, ranges: [[codes[at]!, codes[at]!]] })
    }
  }
  return places
}

function readSet(codes: readonly number[], start: number): { place: Place; end: number } | undefined {
  const is = (index: number, character: string): boolean => codes[index] === character.codePointAt(0)
  const isNegated = is(start, '^')
  const ranges: [number, number][] = []
  let at = isNegated ? start + 1 : start
  const member = (): number | undefined => {
    if (is(at, '-') || is(at, ']')) return undefined
    if (is(at, '\\')) at++
    return codes[at++]
  }
  while (!is(at, ']') || ranges.length === 0) {
    const low = member()
    let high = low
    if (is(at, '-')) {
      at++
      high = member()
    }
    if (low === undefined || high === undefined || at >= codes.length) return undefined
    ranges.push([low, high])
  }
  return { place: { isNegated, ranges }, end: at }
}

function codesOf(text: string): number[] {
  return Array.from(text, (character) => character.codePointAt(0)!)
}
