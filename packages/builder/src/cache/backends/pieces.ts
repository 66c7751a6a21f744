/**
 * The same bytes in pieces of `pieceBytes`, the last one smaller; at least one. What is in flight is held in memory, so
 * callers bound how many there are.
 */
export async function* inPieces(
  chunks: AsyncIterable<Uint8Array>,
  pieceBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let gathered: Uint8Array[] = []
  let length = 0
  let isFirst = true
  for await (const chunk of chunks) {
    let rest = chunk
    while (length + rest.length > pieceBytes) {
      const part = rest.subarray(0, pieceBytes - length)
      yield Buffer.concat([...gathered, part])
      isFirst = false
      rest = rest.subarray(part.length)
      gathered = []
      length = 0
    }
    // What its sender uses again after the next read has to be kept by value.
    gathered.push(Uint8Array.prototype.slice.call(rest))
    length += rest.length
  }
  if (length > 0 || isFirst) yield Buffer.concat(gathered)
}

/** Does `work` for each piece, a few at a time. @throws what the first failed one threw, once none runs any more */
export async function forEachPiece(
  pieces: AsyncIterable<Uint8Array>,
  inFlight: number,
  work: (piece: Uint8Array, index: number) => Promise<void>,
): Promise<number> {
  const running = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined
  let count = 0
  for await (const piece of pieces) {
    if (failure !== undefined) break
    const one: Promise<void> = work(piece, count++)
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => running.delete(one))
    running.add(one)
    if (running.size >= inFlight) await Promise.race(running)
  }
  await Promise.all(running)
  if (failure !== undefined) throw failure.error
  return count
}
