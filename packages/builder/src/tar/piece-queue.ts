/** So large a piece is inflated, but for the last of what comes of it, while the one before is read. */
const PIECE_BYTES = 1 << 19
/** One that is filled, one that waits, one that is read. */
const MAX_PIECES = 3

/** Bytes from a writer to a reader, gathered in a few pieces of memory that are used again and again. */
export interface PieceQueue {
  /** Copies. A promise where the reader is behind: to be awaited before the next write. */
  write(bytes: Uint8Array): Promise<void> | undefined
  /** Nothing more is written. */
  end(): void
  /** Nobody reads any more: what is written from now on goes nowhere. */
  close: () => void
  /** For one reader. A piece is valid until the next one is asked for. */
  pieces(): AsyncGenerator<Buffer, void, undefined>
}

export function createPieceQueue(): PieceQueue {
  const free: Buffer[] = []
  const waiting: Buffer[] = []
  let pieceCount = 0
  let filling: Buffer | undefined
  let filled = 0
  let isEnded = false
  let isClosed = false
  let wakeReader: (() => void) | undefined
  let room: PromiseWithResolvers<void> | undefined

  function takeFree(): Buffer | undefined {
    const piece = free.pop()
    if (piece !== undefined || pieceCount === MAX_PIECES) return piece
    pieceCount++
    return Buffer.allocUnsafeSlow(PIECE_BYTES)
  }

  function handOver(): void {
    if (filling === undefined || filled === 0) return
    waiting.push(filling.subarray(0, filled))
    filling = undefined
    filled = 0
    wakeReader?.()
  }

  /** How many of the bytes there was room for. */
  function fill(bytes: Uint8Array): number {
    let at = 0
    while (at < bytes.length) {
      filling ??= takeFree()
      if (filling === undefined) break
      const length = Math.min(bytes.length - at, PIECE_BYTES - filled)
      filling.set(bytes.subarray(at, at + length), filled)
      at += length
      filled += length
      if (filled === PIECE_BYTES) handOver()
    }
    return at
  }

  async function fillRest(bytes: Uint8Array): Promise<void> {
    let rest = bytes
    while (rest.length > 0 && !isClosed) {
      room ??= Promise.withResolvers()
      await room.promise
      rest = rest.subarray(fill(rest))
    }
  }

  function giveRoom(): void {
    room?.resolve()
    room = undefined
  }

  return {
    write(bytes) {
      if (isClosed) return undefined
      const taken = fill(bytes)
      return taken < bytes.length ? fillRest(bytes.subarray(taken)) : undefined
    },
    end() {
      handOver()
      isEnded = true
      wakeReader?.()
    },
    close() {
      isClosed = true
      wakeReader?.()
      giveRoom()
    },
    async *pieces() {
      for (;;) {
        const piece = waiting.shift()
        if (piece !== undefined) {
          yield piece
          free.push(Buffer.from(piece.buffer))
          giveRoom()
        } else if (isEnded || isClosed) return
        else await new Promise<void>((resolve) => (wakeReader = resolve))
      }
    },
  }
}
