export interface UsageErrorOptions {
  readonly hint?: string | undefined
  /** 125 for flags, as Docker; 1 for arguments. */
  readonly exitCode?: number
}

/** The command line itself is wrong; nothing was done. */
export class UsageError extends Error {
  readonly hint: string | undefined
  readonly exitCode: number

  constructor(message: string, options: UsageErrorOptions = {}) {
    super(message)
    this.name = 'UsageError'
    this.hint = options.hint
    this.exitCode = options.exitCode ?? 125
  }
}

/** The candidate nearest to a mistyped word, when it is near enough to be meant. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3))
  const ranked = candidates
    // So many letters have to come or go at least: what is far off by that alone, however long, costs nothing.
    .filter((candidate) => Math.abs(candidate.length - word.length) <= limit)
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .filter(({ distance }) => distance <= limit)
    .toSorted((a, b) => a.distance - b.distance)
  return ranked[0]?.candidate
}

/**
 * Levenshtein's distance; a swap of neighbours counts one, as it is one slip of the fingers. The builder's own counts that as
 * two, as BuildKit does.
 */
function editDistance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...Array.from<number>({ length: b.length }).fill(0)])
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0
  for (let j = 0; j <= b.length; j++) (rows[0] as number[])[j] = j
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) best = Math.min(best, at(i - 2, j - 2) + 1)
      ;(rows[i] as number[])[j] = best
    }
  }
  return at(a.length, b.length)
}
