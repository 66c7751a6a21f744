import { crc32, deflateRaw, deflateRawSync, type ZlibOptions } from 'node:zlib'
import { deflateBlock, deflateBound, DEFLATE_WINDOW_BYTES } from '@ts-oci/runtime'

/**
 * Writes ONE gzip member of blocks that carry the last 32 KiB as their window: all cores work, and the bytes do not
 * depend on how many there are.
 */
export interface GzipWriter {
  /** Takes bytes (a copy of them); resolves when more may come. */
  write(bytes: Uint8Array): Promise<void>
  /** Where bytes may be put in place instead: at least one. Say by `filled` how many they were. */
  room(): Promise<{ readonly buffer: Buffer; readonly start: number; readonly end: number }>
  filled(bytes: number): void
  /** Ends the member. */
  finish(): Promise<void>
  /** Waits for what is at work, whose buffers are ours. Call it in any case. */
  close(): Promise<void>
}

export interface GzipWriterOptions {
  /** 0–9: node:zlib's. Undefined: our own encoder. */
  readonly level: number | undefined
  /** Takes the bytes at once: their buffer is used again. */
  readonly output: (bytes: Uint8Array) => void
  readonly signal?: AbortSignal | undefined
}

const BLOCK_BYTES = 1 << 20
/** Blocks at work at once: enough for the threads of the pool, and a bound of the memory. */
const BLOCKS_IN_FLIGHT = 4
const STORED_BYTES = 65_535
const STORED_HEADER_BYTES = 5
/** Room for one trip to the pool's threads and back; most blocks take two. */
const OUTPUT_BYTES = 1 << 18
const SAMPLE_BYTES = 1 << 14
/** A sample that deflate makes no smaller than this says that the block is not worth the time. */
const WORTHWHILE_RATIO = 1.03

/** No name, no time, unknown system: the bytes that BuildKit's layers begin with. */
const GZIP_HEADER = Buffer.from('1f8b08000000000000ff', 'hex')

/** A block, with the window that it may refer to in front of it. */
interface Slot {
  readonly input: Buffer
  readonly output: Buffer
  window: number
  used: number
}

export function createGzipWriter(options: GzipWriterOptions): GzipWriter {
  const { level, output, signal } = options
  // One more than can be at work: the last block is still the window of the one after it.
  const slots: Slot[] = []
  const waiting: Promise<Uint8Array>[] = []
  let count = 0
  let slot = nextSlot(undefined)
  let sizeBytes = 0
  let checksum = 0
  output(GZIP_HEADER)

  function nextSlot(before: Slot | undefined): Slot {
    const index = count++ % (BLOCKS_IN_FLIGHT + 1)
    const next = (slots[index] ??= {
      input: Buffer.allocUnsafeSlow(DEFLATE_WINDOW_BYTES + BLOCK_BYTES),
      output: Buffer.allocUnsafeSlow(deflateBound(BLOCK_BYTES)),
      window: 0,
      used: 0,
    })
    next.used = 0
    next.window = before === undefined ? 0 : Math.min(DEFLATE_WINDOW_BYTES, before.used)
    if (before !== undefined) {
      const end = DEFLATE_WINDOW_BYTES + before.used
      before.input.copy(next.input, DEFLATE_WINDOW_BYTES - next.window, end - next.window, end)
    }
    return next
  }

  function start(isLast: boolean): void {
    const block = slot.input.subarray(DEFLATE_WINDOW_BYTES, DEFLATE_WINDOW_BYTES + slot.used)
    checksum = crc32(block, checksum)
    sizeBytes += slot.used
    const work = level === undefined ? withOwn(slot, isLast) : withZlib(slot, block, level, isLast)
    // Awaited in its turn; until then a failure must not count as unhandled.
    work.catch(() => undefined)
    waiting.push(work)
  }

  /** The block is full and more is to come. */
  async function advance(): Promise<void> {
    signal?.throwIfAborted()
    start(false)
    if (waiting.length >= BLOCKS_IN_FLIGHT) output(await waiting.shift()!)
    slot = nextSlot(slot)
  }

  async function room(): Promise<{ buffer: Buffer; start: number; end: number }> {
    if (slot.used === BLOCK_BYTES) await advance()
    return { buffer: slot.input, start: DEFLATE_WINDOW_BYTES + slot.used, end: DEFLATE_WINDOW_BYTES + BLOCK_BYTES }
  }

  return {
    room,
    filled(bytes) {
      slot.used += bytes
    },
    async write(bytes) {
      for (let done = 0; done < bytes.length;) {
        const free = await room()
        const length = Math.min(bytes.length - done, free.end - free.start)
        free.buffer.set(bytes.subarray(done, done + length), free.start)
        slot.used += length
        done += length
      }
    },
    async finish() {
      signal?.throwIfAborted()
      start(true)
      while (waiting.length > 0) output(await waiting.shift()!)
      const trailer = Buffer.alloc(8)
      trailer.writeUInt32LE(checksum, 0)
      trailer.writeUInt32LE(sizeBytes % 0x1_0000_0000, 4)
      output(trailer)
    },
    async close() {
      await Promise.allSettled(waiting)
    },
  }
}

async function withOwn({ input, output, window, used }: Slot, isLast: boolean): Promise<Uint8Array> {
  const size = await deflateBlock({ input, offset: DEFLATE_WINDOW_BYTES, length: used, window, output, isLast })
  return output.subarray(0, size)
}

/** One block as a piece of the deflate stream that begins and ends at a byte. */
async function withZlib(slot: Slot, block: Buffer, level: number, isLast: boolean): Promise<Uint8Array> {
  if (level === 0 || !isWorthwhile(block)) return storeBlock(block, isLast, slot.output)
  // At first need: who only gives an image a name loads no streams, which this module does.
  const { Z_FINISH, Z_SYNC_FLUSH } = process.getBuiltinModule('node:zlib').constants
  const options: ZlibOptions = {
    level,
    chunkSize: OUTPUT_BYTES,
    finishFlush: isLast ? Z_FINISH : Z_SYNC_FLUSH,
    ...(slot.window === 0
      ? {}
      : { dictionary: slot.input.subarray(DEFLATE_WINDOW_BYTES - slot.window, DEFLATE_WINDOW_BYTES) }),
  }
  return new Promise((resolve, reject) => {
    deflateRaw(block, options, (error, result) => (error === null ? resolve(result) : reject(error)))
  })
}

/** Media and archives do not shrink; 16 KiB from the middle tell. */
function isWorthwhile(block: Buffer): boolean {
  if (block.length < 2 * SAMPLE_BYTES) return true
  const start = (block.length - SAMPLE_BYTES) >> 1
  const sample = block.subarray(start, start + SAMPLE_BYTES)
  return SAMPLE_BYTES / deflateRawSync(sample, { level: 1 }).length >= WORTHWHILE_RATIO
}

/** Deflate's stored blocks (RFC 1951, 3.2.4). */
function storeBlock(block: Buffer, isLast: boolean, target: Buffer): Buffer {
  let used = 0
  for (let done = 0; done < block.length || done === 0; done += STORED_BYTES) {
    const length = Math.min(STORED_BYTES, block.length - done)
    target[used] = isLast && done + length === block.length ? 1 : 0
    target.writeUInt16LE(length, used + 1)
    target.writeUInt16LE(~length & 0xffff, used + 3)
    used += STORED_HEADER_BYTES + block.copy(target, used + STORED_HEADER_BYTES, done, done + length)
  }
  return target.subarray(0, used)
}
