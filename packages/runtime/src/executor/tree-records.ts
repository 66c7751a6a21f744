import type { TreeAttributes, TreeNodeType, TreeRecords } from './tree-types.ts'

/** The other side is native/launcher/tree-records.h; the two change together. */
const types = {
  directory: 1,
  file: 2,
  data: 3,
  hole: 4,
  fileEnd: 5,
  attributes: 6,
  symlink: 7,
  link: 8,
  node: 9,
  remove: 10,
  end: 11,
} as const

const HAS_OWNER = 1
const HAS_MODE = 2
const HAS_TIME = 4
const STRICT = 8

const HEADER_BYTES = 8
const ATTRIBUTES_BYTES = 32 // flags, uid, gid, mode, seconds (8), nanoseconds, number of xattrs
/** Records are gathered in pieces of this size. */
const PIECE_BYTES = 1 << 18
/** So many pieces may wait to be read before no more are made. */
const WAITING_PIECES = 4

const TYPE_BITS: Readonly<Record<TreeNodeType, number>> = { fifo: 0o010000, character: 0o020000, block: 0o060000 }

export interface RecordWriter {
  readonly records: TreeRecords
  /** Hands on what is left, and that this was all. */
  end(): void
  isFull(): boolean
}

/** Encodes what a tree consists of. `send` takes a piece, and calls when it may be used again; `onRoom` is called when it is full no more. */
export function createRecordWriter(send: (piece: Buffer, done: () => void) => void, onRoom: () => void): RecordWriter {
  const free: Buffer[] = []
  let piece: Buffer = Buffer.allocUnsafeSlow(PIECE_BYTES)
  let filled = 0
  let waiting = 0

  function flush(): void {
    if (filled === 0) return
    const sent = piece
    waiting++
    send(sent.subarray(0, filled), () => {
      waiting--
      if (sent.length === PIECE_BYTES) free.push(sent)
      if (waiting < WAITING_PIECES) onRoom()
    })
    piece = free.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES)
    filled = 0
  }

  /** Begins a record that fits into one piece, made larger for it where it must be. */
  function begin(type: number, sizeBytes: number): void {
    const needed = HEADER_BYTES + sizeBytes
    if (filled + needed > piece.length) {
      flush()
      if (needed > piece.length) {
        free.push(piece)
        piece = Buffer.allocUnsafeSlow(needed)
      }
    }
    u32(type)
    u32(sizeBytes)
  }

  function u32(value: number): void {
    filled = piece.writeUInt32LE(value, filled)
  }

  function text(value: string): void {
    filled += piece.write(value, filled, 'latin1')
    piece[filled++] = 0
  }

  function names(type: number, ...paths: readonly string[]): void {
    begin(
      type,
      paths.reduce((sum, { length }) => sum + length + 1, 0),
    )
    for (const path of paths) text(path)
  }

  function attributes(
    type: number,
    path: string,
    { owner, mode, mtime, xattrs, strict }: TreeAttributes,
    device?: { readonly major: number; readonly minor: number },
  ): void {
    let sizeBytes = ATTRIBUTES_BYTES + path.length + 1 + (device === undefined ? 0 : 8)
    for (const [name, value] of xattrs ?? []) sizeBytes += name.length + 1 + 4 + value.length
    begin(type, sizeBytes)
    if (device !== undefined) {
      u32(device.major)
      u32(device.minor)
    }
    let flags = strict === true ? STRICT : 0
    if (owner !== undefined) flags |= HAS_OWNER
    if (mode !== undefined) flags |= HAS_MODE
    if (mtime !== undefined) flags |= HAS_TIME
    u32(flags)
    u32(owner?.uid ?? 0)
    u32(owner?.gid ?? 0)
    u32(mode ?? 0)
    filled = piece.writeBigInt64LE(BigInt(mtime?.sec ?? 0), filled)
    u32(mtime?.nsec ?? 0)
    u32(xattrs?.size ?? 0)
    text(path)
    for (const [name, value] of xattrs ?? []) {
      text(name)
      u32(value.length)
      piece.set(value, filled)
      filled += value.length
    }
  }

  function data(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (piece.length - filled <= HEADER_BYTES) flush()
      const length = Math.min(bytes.length - at, piece.length - filled - HEADER_BYTES)
      begin(types.data, length)
      piece.set(length === bytes.length ? bytes : bytes.subarray(at, at + length), filled)
      filled += length
      at += length
    }
  }

  return {
    records: {
      makeDirectory: (path) => names(types.directory, path),
      beginFile: (path, wanted) => attributes(types.file, path, wanted),
      writeData: data,
      leaveHole: (sizeBytes) => {
        begin(types.hole, 8)
        filled = piece.writeBigUInt64LE(BigInt(sizeBytes), filled)
      },
      endFile: () => begin(types.fileEnd, 0),
      makeSymlink: (path, target) => names(types.symlink, path, target),
      makeLink: (path, old) => names(types.link, path, old),
      makeNode: (path, { type, major, minor }, wanted) =>
        attributes(types.node, path, { ...wanted, mode: TYPE_BITS[type] | (wanted.mode ?? 0) }, { major, minor }),
      remove: (path) => names(types.remove, path),
      setAttributes: (path, wanted) => attributes(types.attributes, path, wanted),
    },
    end: () => {
      begin(types.end, 0)
      flush()
    },
    isFull: () => waiting >= WAITING_PIECES,
  }
}
