export interface SlownessWatch {
  /** So many bytes came. Throws when they came too slowly. */
  arrived(bytes: number): void
  /** What came before is dealt with: from now on it is the other side that we wait for. */
  waiting(): void
}

/**
 * Finds a body that comes in drops: each is in time for a limit between two of them, and it never ends.
 * Measures only the time spent waiting for the other side: a slow disk of ours is not its fault.
 */
export function createSlownessWatch(
  { slowWindowMs, slowBytes }: { readonly slowWindowMs: number; readonly slowBytes: number },
  failure: (words: string) => Error,
): SlownessWatch {
  let since = performance.now()
  let waitedMs = 0
  let bytes = 0
  return {
    waiting() {
      since = performance.now()
    },
    arrived(length) {
      waitedMs += performance.now() - since
      bytes += length
      since = performance.now()
      if (waitedMs < slowWindowMs) return
      if (bytes < slowBytes) throw failure(`${bytes} bytes in ${Math.round(waitedMs / 1000)} s`)
      waitedMs = 0
      bytes = 0
    },
  }
}
