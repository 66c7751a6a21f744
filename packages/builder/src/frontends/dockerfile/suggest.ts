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

/** Levenshtein distance in characters; insertion, deletion and substitution cost 1 each. */
function editDistance(a: string, b: string): number {
  const from = Array.from(a)
  const to = Array.from(b)
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < to.length; j++) {
      const substitution = row[j]! + (from[i] === to[j] ? 0 : 1)
      next.push(Math.min(substitution, row[j + 1]! + 1, next[j]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
