// Chance that can be repeated: the same seed draws the same things on every machine.

/** A source of chance (mulberry32). */
export function createRandom(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (from, to) => from + Math.floor(next() * (to - from + 1))
  const random = {
    /** A whole number between the two, both included. */
    int,
    /** True with this probability. */
    chance: (probability) => next() < probability,
    /** One of the elements. */
    pick: (list) => list[int(0, list.length - 1)],
    /** One of the values of `[weight, value]` pairs. */
    weighted: (pairs) => {
      let left = next() * pairs.reduce((sum, [weight]) => sum + weight, 0)
      for (const [weight, value] of pairs) {
        left -= weight
        if (left < 0) return value
      }
      return pairs.at(-1)[1]
    },
    /** As many results as the range says. */
    many: (from, to, make) => Array.from({ length: int(from, to) }, () => make()),
  }
  return random
}
