/** Of a record's head: its type and the size of what follows, 4 bytes each. */
const HEADER_BYTES = 8
/** Records are gathered in pieces of this size. */
const PIECE_BYTES = 1 << 18
/** So many pieces may wait to be read before no more are made. */
const WAITING_PIECES = 4

/** Hands a piece on; `done` says that it may be used again. */
export type SendPiece = (piece: Buffer, done: () => void) => void

/** Gathers records in pieces that are used again and again. Numbers are little-endian. */
export class TreePieces {
  private readonly send: SendPiece
  private readonly onRoom: () => void
  private readonly free: Buffer[] = []
  private piece: Buffer = Buffer.allocUnsafeSlow(PIECE_BYTES)
  private filled = 0
  private waiting = 0

  /** `onRoom` is called when it is full no more. */
  constructor(send: SendPiece, onRoom: () => void) {
    this.send = send
    this.onRoom = onRoom
  }

  isFull(): boolean {
    return this.waiting >= WAITING_PIECES
  }

  /** Begins a record that fits into one piece, made larger for it where it must be. */
  begin(type: number, sizeBytes: number): void {
    const needed = HEADER_BYTES + sizeBytes
    if (this.filled + needed > this.piece.length) {
      this.flush()
      if (needed > this.piece.length) {
        this.free.push(this.piece)
        this.piece = Buffer.allocUnsafeSlow(needed)
      }
    }
    this.u32(type)
    this.u32(sizeBytes)
  }

  u32(value: number): void {
    this.filled = this.piece.writeUInt32LE(value, this.filled)
  }

  u64(value: number): void {
    this.filled = this.piece.writeBigUInt64LE(BigInt(value), this.filled)
  }

  i64(value: number): void {
    this.filled = this.piece.writeBigInt64LE(BigInt(value), this.filled)
  }

  text(value: string): void {
    this.filled += this.piece.write(value, this.filled, 'latin1')
    this.piece[this.filled++] = 0
  }

  bytes(value: Uint8Array): void {
    this.piece.set(value, this.filled)
    this.filled += value.length
  }

  /** One or more records of as many bytes as the piece has room for. */
  stream(type: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.piece.length - this.filled <= HEADER_BYTES) this.flush()
      const length = Math.min(bytes.length - at, this.piece.length - this.filled - HEADER_BYTES)
      this.begin(type, length)
      this.bytes(length === bytes.length ? bytes : bytes.subarray(at, at + length))
      at += length
    }
  }

  flush(): void {
    if (this.filled === 0) return
    const sent = this.piece
    this.waiting++
    this.send(sent.subarray(0, this.filled), () => {
      this.waiting--
      if (sent.length === PIECE_BYTES) this.free.push(sent)
      if (this.waiting < WAITING_PIECES) this.onRoom()
    })
    this.piece = this.free.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES)
    this.filled = 0
  }
}
