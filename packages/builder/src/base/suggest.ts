import { lowerCase, upperCase } from './text.ts'

/** Options that are further away than this are no suggestion. */
const MAX_DISTANCE = 2

export interface SuggestOptions {
  readonly caseSensitive?: boolean
}

/**
 * The option that a misspelt word probably meant: the first of the nearest ones, at most two edits away. Undefined when
 * there is none, or when the word is itself an option (then something else is wrong).
 */
export function findSuggestion(
  word: string,
  options: readonly string[],
  { caseSensitive = false }: SuggestOptions = {},
): string | undefined {
  const wanted = caseSensitive ? word : lowerCase(word)
  let best: string | undefined
  let bestDistance = MAX_DISTANCE + 1
  for (const option of options) {
    const candidate = caseSensitive ? option : lowerCase(option)
    if (candidate === wanted) return undefined
    if (Math.abs(candidate.length - wanted.length) > MAX_DISTANCE * 2) continue
    const distance = editDistance(wanted, candidate)
    if (distance < bestDistance) {
      best = caseSensitive ? option : matchCase(candidate, word)
      bestDistance = distance
    }
  }
  return best
}

/** The message with `(did you mean X?)` behind it, where there is a suggestion. */
export function withSuggestion(
  message: string,
  word: string,
  options: readonly string[],
  suggestOptions: SuggestOptions = {},
): string {
  const suggestion = findSuggestion(word, options, suggestOptions)
  return suggestion === undefined || suggestion === '' ? message : `${message} (did you mean ${suggestion}?)`
}

function matchCase(option: string, word: string): string {
  if (word === lowerCase(word)) return lowerCase(option)
  if (word === upperCase(word)) return upperCase(option)
  return option
}

const WIDTH = 2 * MAX_DISTANCE + 1
const FAR = MAX_DISTANCE + 1
// Made once: a file with many variables asks a million times.
const rows = [new Int32Array(WIDTH + 2), new Int32Array(WIDTH + 2)] as const

/**
 * Levenshtein distance in characters (insertion, deletion and substitution cost 1 each), as far as it is at most
 * {@link MAX_DISTANCE}: only cells so near to the diagonal are looked at, since words and lists may be long.
 */
function editDistance(a: string, b: string): number {
  const from = charactersOf(a)
  const to = charactersOf(b)
  if (from.length - to.length > MAX_DISTANCE || to.length - from.length > MAX_DISTANCE) return FAR
  let [row, next] = [rows[0], rows[1]]
  // Cell k of a row stands for column i + k - 1 - MAX_DISTANCE; the outermost two are walls.
  for (let k = 0; k < WIDTH + 2; k++) row[k] = k <= MAX_DISTANCE || k > WIDTH ? FAR : k - 1 - MAX_DISTANCE
  next[0] = next[WIDTH + 1] = FAR
  for (let i = 1; i <= from.length; i++) {
    let least = FAR
    for (let k = 1; k <= WIDTH; k++) {
      const column = i + k - 1 - MAX_DISTANCE
      let cost = FAR
      if (column === 0) cost = i
      else if (column > 0 && column <= to.length) {
        const substitution = row[k]! + (from[i - 1] === to[column - 1] ? 0 : 1)
        const gap = (row[k + 1]! < next[k - 1]! ? row[k + 1]! : next[k - 1]!) + 1
        cost = substitution < gap ? substitution : gap
      }
      next[k] = cost < FAR ? cost : FAR
      if (cost < least) least = cost
    }
    if (least >= FAR) return FAR
    ;[row, next] = [next, row]
  }
  return row[to.length - from.length + 1 + MAX_DISTANCE]!
}

function charactersOf(text: string): string | readonly string[] {
  return /[\ud800-\udfff]/.test(text) ? Array.from(text) : text
}
