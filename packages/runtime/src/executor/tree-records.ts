import { TreePieces, type SendPiece } from './tree-pieces.ts'
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

const ATTRIBUTES_BYTES = 32 // flags, uid, gid, mode, seconds (8), nanoseconds, number of xattrs
const TYPE_BITS: Readonly<Record<TreeNodeType, number>> = { fifo: 0o010000, character: 0o020000, block: 0o060000 }

export interface RecordWriter {
  readonly records: TreeRecords
  /** Hands on what is left, and that this was all. */
  end(): void
  isFull(): boolean
}

/** Encodes what a tree consists of. `send` takes a piece, and calls when it may be used again; `onRoom` is called when it is full no more. */
export function createRecordWriter(send: SendPiece, onRoom: () => void): RecordWriter {
  const pieces = new TreePieces(send, onRoom)
  return {
    records: createRecords(pieces),
    end: () => {
      pieces.begin(types.end, 0)
      pieces.flush()
    },
    isFull: () => pieces.isFull(),
  }
}

function createRecords(pieces: TreePieces): TreeRecords {
  return {
    makeDirectory: (path) => writeNames(pieces, types.directory, path),
    beginFile: (path, wanted) => writeAttributes(pieces, types.file, path, wanted),
    writeData: (bytes) => pieces.stream(types.data, bytes),
    leaveHole: (sizeBytes) => {
      pieces.begin(types.hole, 8)
      pieces.u64(sizeBytes)
    },
    endFile: () => pieces.begin(types.fileEnd, 0),
    makeSymlink: (path, target) => writeNames(pieces, types.symlink, path, target),
    makeLink: (path, old) => writeNames(pieces, types.link, path, old),
    makeNode: (path, { type, major, minor }, wanted) => {
      const attributes = { ...wanted, mode: TYPE_BITS[type] | (wanted.mode ?? 0) }
      writeAttributes(pieces, types.node, path, attributes, { major, minor })
    },
    remove: (path) => writeNames(pieces, types.remove, path),
    setAttributes: (path, wanted) => writeAttributes(pieces, types.attributes, path, wanted),
  }
}

function writeNames(pieces: TreePieces, type: number, ...paths: readonly string[]): void {
  pieces.begin(
    type,
    paths.reduce((sum, { length }) => sum + length + 1, 0),
  )
  for (const path of paths) pieces.text(path)
}

function writeAttributes(
  pieces: TreePieces,
  type: number,
  path: string,
  { owner, mode, mtime, xattrs, strict }: TreeAttributes,
  device?: { readonly major: number; readonly minor: number },
): void {
  let sizeBytes = ATTRIBUTES_BYTES + path.length + 1 + (device === undefined ? 0 : 8)
  for (const [name, value] of xattrs ?? []) sizeBytes += name.length + 1 + 4 + value.length
  pieces.begin(type, sizeBytes)
  if (device !== undefined) {
    pieces.u32(device.major)
    pieces.u32(device.minor)
  }
  let flags = strict === true ? STRICT : 0
  if (owner !== undefined) flags |= HAS_OWNER
  if (mode !== undefined) flags |= HAS_MODE
  if (mtime !== undefined) flags |= HAS_TIME
  pieces.u32(flags)
  pieces.u32(owner?.uid ?? 0)
  pieces.u32(owner?.gid ?? 0)
  pieces.u32(mode ?? 0)
  pieces.i64(mtime?.sec ?? 0)
  pieces.u32(mtime?.nsec ?? 0)
  pieces.u32(xattrs?.size ?? 0)
  pieces.text(path)
  for (const [name, value] of xattrs ?? []) {
    pieces.text(name)
    pieces.u32(value.length)
    pieces.bytes(value)
  }
}
