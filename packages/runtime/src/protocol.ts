import { RuntimeError } from './errors.ts'

/**
 * Frames on the control socket, both ways: length, type and id (u32 each, little endian), then `length` bytes.
 * The other side is native/launcher/protocol.h; the two change together.
 */
export const PROTOCOL_VERSION = 1

const FRAME_HEADER_BYTES = 12
const FRAME_LIMIT_BYTES = 64 * 1024 * 1024

export const frameTypes = {
  runStep: 1,
  signal: 2,
  startJobs: 3,
  removeTrees: 4,
  writeTree: 5,
  prepareNetwork: 6,
  input: 7,
  resize: 8,
  ready: 16,
  failed: 17,
  stdout: 18,
  stderr: 19,
  exit: 20,
  removed: 21,
  jobsEnded: 22,
  treeWritten: 23,
  network: 24,
  inputTaken: 25,
} as const

export const fieldTags = {
  lower: 1,
  upper: 2,
  work: 3,
  arg: 4,
  env: 5,
  cwd: 6,
  uid: 7,
  gid: 8,
  additionalGid: 9,
  hostname: 10,
  hosts: 11,
  resolvConf: 12,
  flags: 13,
  rlimit: 14,
  shmSize: 15,
  path: 16,
  readable: 17,
  mountBase: 18,
  rootDirectory: 19,
  limit: 20,
  limitCpus: 21,
  limitMems: 22,
  cgroupParent: 23,
  ownIds: 24,
  mount: 32,
  mountTarget: 33,
  mountSource: 34,
  mountSubPath: 35,
  mountLower: 36,
  mountScratch: 37,
  mountSize: 38,
  mountMode: 39,
  mountContent: 40,
  mountUid: 41,
  mountGid: 42,
  mountDevice: 43,
} as const

export interface Frame {
  readonly type: number
  readonly id: number
  readonly payload: Buffer
}

export interface FieldWriter {
  /** A UTF-8 string; with `encoding` latin1 a byte string. Throws OCI_RUNTIME_STEP_START when it holds a NUL. */
  string(tag: number, text: string, encoding?: 'utf8' | 'latin1'): void
  bytes(tag: number, content: Uint8Array): void
  u32(tag: number, ...values: readonly number[]): void
  u64(tag: number, value: number): void
  /** Everything written so far. */
  payload(): Buffer
}

/** As much as a step on some twenty layers takes. */
const FIRST_FIELDS_BYTES = 3072

/** A row of fields: tag and length (u32), then the bytes. */
export function createFieldWriter(): FieldWriter {
  let buffer = Buffer.allocUnsafe(FIRST_FIELDS_BYTES)
  let used = 0
  /** Begins a field; what it holds is written at `used`. */
  const begin = (tag: number, length: number): void => {
    const end = used + 8 + length
    if (end > buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, 2 * buffer.length))
      buffer.copy(larger, 0, 0, used)
      buffer = larger
    }
    used = buffer.writeUInt32LE(tag, used)
    used = buffer.writeUInt32LE(length, used)
  }
  return {
    bytes: (tag, content) => {
      begin(tag, content.length)
      buffer.set(content, used)
      used += content.length
    },
    string: (tag, text, encoding = 'utf8') => {
      if (text.includes('\0')) {
        throw new RuntimeError(
          'OCI_RUNTIME_STEP_START',
          `${JSON.stringify(text)} holds a NUL byte: no process can be given it`,
        )
      }
      begin(tag, Buffer.byteLength(text, encoding) + 1)
      used += buffer.write(text, used, encoding)
      buffer[used++] = 0
    },
    u32: (tag, ...values) => {
      begin(tag, values.length * 4)
      for (const value of values) used = buffer.writeUInt32LE(value, used)
    },
    u64: (tag, value) => {
      begin(tag, 8)
      used = buffer.writeBigUInt64LE(BigInt(value), used)
    },
    payload: () => buffer.subarray(0, used),
  }
}

/** One frame, ready to send. Throws OCI_RUNTIME_EXECUTOR when it is larger than the executor takes (64 MiB). */
export function encodeFrame(type: number, id: number, payload: Uint8Array): Buffer {
  if (payload.length > FRAME_LIMIT_BYTES) {
    throw new RuntimeError(
      'OCI_RUNTIME_EXECUTOR',
      `a request of ${payload.length} bytes is more than the executor takes (64 MiB)`,
    )
  }
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length)
  frame.writeUInt32LE(payload.length, 0)
  frame.writeUInt32LE(type, 4)
  frame.writeUInt32LE(id, 8)
  frame.set(payload, FRAME_HEADER_BYTES)
  return frame
}

/** Takes chunks as they come and gives whole frames; payloads are copies that may be kept. */
export function createFrameReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let held: Buffer = Buffer.alloc(0)
  return (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    let at = 0
    while (held.length - at >= FRAME_HEADER_BYTES) {
      const length = held.readUInt32LE(at)
      if (held.length - at - FRAME_HEADER_BYTES < length) break
      const start = at + FRAME_HEADER_BYTES
      onFrame({
        type: held.readUInt32LE(at + 4),
        id: held.readUInt32LE(at + 8),
        payload: Buffer.from(held.subarray(start, start + length)),
      })
      at = start + length
    }
    held = held.subarray(at)
  }
}
