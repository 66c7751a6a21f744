import { createHash } from 'node:crypto'
import { closeFd, openPath, OpenFlags, writeFully } from '@ts-oci/runtime'
import type { DiffID } from '../oci/digest.ts'
import { createContentReader, type ContentSink } from './file-bytes.ts'
import { CAPABILITY } from '../view/entry.ts'
import { BLOCK_BYTES, headerRoom, writeHeader } from '../tar/header.ts'
import { ENTRIES_A_PIECE, runAtOnce, type Pieces } from './pauses.ts'
import { OWN_TAR } from '../tar/table.ts'
import type { LayerEntry, LayerTable } from '../view/types.ts'
import type { PackedLayer } from './job-types.ts'

export interface PackOptions {
  /** Later mtimes become this one: seconds (`rewrite-timestamp`). */
  readonly latestMtimeSec?: number
  /** Times keep their nanoseconds, which no layer has. */
  readonly keepsNanoseconds?: boolean
}

export interface PackResult extends PackedLayer {
  /** The entries with ranges into the tar ({@link OWN_TAR}). */
  readonly table: LayerTable
}

const BUFFER_BYTES = 1 << 20

/**
 * Writes sorted entries as a layer's plain tar to a new file and answers its diffID, all in one pass. No entries give
 * 1024 zero bytes. Contents of the kind `layer` must have been resolved. Throws OCI_CONTEXT_CHANGED.
 */
export function packLayer(entries: readonly LayerEntry[], outputPath: string, options: PackOptions = {}): PackResult {
  return runAtOnce(packInPieces(entries, outputPath, options))
}

/** As {@link packLayer}, in pieces. */
export function* packInPieces(
  entries: readonly LayerEntry[],
  outputPath: string,
  options: PackOptions = {},
): Pieces<PackResult> {
  // Always a new name: truncating a large file costs more than writing one.
  const fd = openPath(outputPath, OpenFlags.write | OpenFlags.create | OpenFlags.exclusive, 0o644)
  const reader = createContentReader()
  try {
    const sink = createTarSink((bytes) => writeFully(fd, bytes), options.keepsNanoseconds)
    const packed: LayerEntry[] = []
    for (const entry of entries) {
      if (packed.length % ENTRIES_A_PIECE === ENTRIES_A_PIECE - 1) yield
      const written = prepare(entry, options)
      if (written.isTimeOnly === true) {
        packed.push(written)
        continue
      }
      sink.header(written)
      const offset = sink.position()
      if (written.type === 'file' && written.size > 0) {
        reader.read(written, sink)
        sink.pad()
        packed.push({
          ...written,
          mtimeNsec: entry.mtimeSec === written.mtimeSec ? entry.mtimeNsec : 0,
          content: { kind: 'range', file: OWN_TAR, offset },
        })
      } else packed.push(written)
    }
    const { diffId, sizeBytes } = sink.finish()
    return { diffId, sizeBytes, table: { entries: packed } }
  } finally {
    reader.close()
    closeFd(fd)
  }
}

/** Only capabilities reach a layer of ours; a clamped time loses its nanoseconds. */
function prepare(entry: LayerEntry, options: PackOptions): LayerEntry {
  const { xattrs } = entry
  let prepared = entry
  if (xattrs !== undefined && (xattrs.size > 1 || !xattrs.has(CAPABILITY))) {
    const capability = xattrs.get(CAPABILITY)
    const { xattrs: _dropped, ...rest } = entry
    prepared = capability === undefined ? rest : { ...rest, xattrs: new Map([[CAPABILITY, capability]]) }
  }
  const latest = options.latestMtimeSec
  return latest !== undefined && entry.mtimeSec > latest ? { ...prepared, mtimeSec: latest, mtimeNsec: 0 } : prepared
}

interface TarSink extends ContentSink {
  header(entry: LayerEntry): void
  /** Bytes so far. */
  position(): number
  /** Fills the last block of a file's data. */
  pad(): void
  finish(): PackedLayer
}

function createTarSink(write: (bytes: Buffer) => void, keepsNanoseconds = false): TarSink {
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  const hash = createHash('sha256')
  let used = 0
  let flushed = 0

  function flush(): void {
    if (used === 0) return
    const bytes = buffer.subarray(0, used)
    hash.update(bytes)
    write(bytes)
    flushed += used
    used = 0
  }

  function ensure(bytes: number): void {
    if (BUFFER_BYTES - used < bytes) flush()
  }

  function zeros(bytes: number): void {
    ensure(bytes)
    buffer.fill(0, used, used + bytes)
    used += bytes
  }

  return {
    header(entry) {
      const room = headerRoom(entry)
      if (room > BUFFER_BYTES) throw new RangeError(`the header of ${entry.path} is too large`)
      ensure(room)
      used += writeHeader(buffer, used, entry, keepsNanoseconds)
    },
    position: () => flushed + used,
    pad() {
      const rest = (flushed + used) % BLOCK_BYTES
      if (rest > 0) zeros(BLOCK_BYTES - rest)
    },
    room(wanted = 1) {
      if (BUFFER_BYTES - used < Math.min(wanted, BUFFER_BYTES)) flush()
      return { buffer, start: used, end: BUFFER_BYTES }
    },
    filled(bytes) {
      used += bytes
    },
    finish() {
      zeros(2 * BLOCK_BYTES)
      flush()
      return { diffId: `sha256:${hash.digest('hex')}` as DiffID, sizeBytes: flushed }
    },
  }
}
