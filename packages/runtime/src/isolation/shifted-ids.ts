/** Ids of this process's user namespace that steps can have as their own 0 … `count` - 1, without newuidmap. */
export interface ShiftedRange {
  /** Who root of a step is here. */
  readonly start: number
  readonly count: number
  /** Ids 0 … `rest` - 1 here, the caller's own, are none of a step's. */
  readonly rest: number
}

/** As many ids as images use, from the first that distributions give to nobody: what useradd hands out as subordinate. */
const WANTED = 65_536
const FIRST = 100_000

/**
 * Chooses from a map as /proc/self/uid_map shows it (user_namespaces(7)). A range of a map has to lie in one line of the
 * map above it. Never id 0: steps must not be the user who builds. Undefined where there is no other id.
 */
export function shiftedRange(map: string): ShiftedRange | undefined {
  const lines = map
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((numbers) => numbers.length === 3 && numbers.every(Number.isSafeInteger))
    .map(([inside = 0, , count = 0]) => ({ start: inside, end: inside + count }))
  const own = lines.find(({ start }) => start === 0)
  const range = lines
    .map(({ start, end }) => withinLine(Math.max(start, 1), end))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count || b.start - a.start)[0]
  return own && range && { ...range, rest: Math.min(own.end, range.start) }
}

/** The wanted ids, else the last ones: those of the container's own users come first. */
function withinLine(start: number, end: number): { readonly start: number; readonly count: number } {
  if (start <= FIRST && end >= FIRST + WANTED) return { start: FIRST, count: WANTED }
  const from = Math.max(start, end - WANTED)
  return { start: from, count: end - from }
}
