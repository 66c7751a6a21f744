import type { SparseMap } from '../view/types.ts'

/** Takes the data of a sparse file as it comes. */
export interface SparseFeed {
  push(piece: Buffer): void
  /** Tells the hole behind the last piece. */
  end(): void
}

/** Puts the data of a sparse file where its map says, and tells the holes between. */
export function createSparseFeed(
  map: SparseMap,
  sizeBytes: number,
  data: (piece: Buffer) => void,
  hole: (sizeBytes: number) => void,
): SparseFeed {
  let index = 0
  let position = 0
  function skipTo(offset: number): void {
    if (offset > position) hole(offset - position)
    position = offset
  }
  return {
    push(piece) {
      for (let at = 0; at < piece.length;) {
        const { offset, length } = map[index]!
        if (position < offset) skipTo(offset)
        const taken = Math.min(offset + length - position, piece.length - at)
        if (taken > 0) data(piece.subarray(at, at + taken))
        position += taken
        at += taken
        if (position === offset + length) index++
      }
    },
    end: () => skipTo(sizeBytes),
  }
}
