import type { Readable } from 'node:stream'

/** The messages of the agent protocol (draft-ietf-sshm-ssh-agent, section 6) that a step may send, and their answers. */
export const AgentMessage = {
  failure: 5,
  requestIdentities: 11,
  identitiesAnswer: 12,
  signRequest: 13,
  signResponse: 14,
} as const

/** As ssh-agent: a message is no longer. */
const MAX_MESSAGE_BYTES = 256 * 1024

export const FAILURE: Buffer = Buffer.from([AgentMessage.failure])

/** The messages of a stream, without their length. Ends where the stream does, inside of a message too. @throws Error for one that is too long */
export async function* readMessages(stream: Readable): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    while (held.length >= 4) {
      const length = held.readUInt32BE(0)
      if (length > MAX_MESSAGE_BYTES) throw new Error(`an ssh agent’s message of ${length} bytes`)
      if (held.length < 4 + length) break
      yield held.subarray(4, 4 + length)
      held = held.subarray(4 + length)
    }
  }
}

/** `string` of RFC 4251, section 5; a message of the agent protocol is framed alike. */
export function sshString(content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([uint32(bytes.length), bytes])
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** `mpint` of RFC 4251 of a number without sign, as big-endian bytes: no leading zeros, but one where the first bit is set. */
export function mpint(magnitude: Uint8Array): Buffer {
  let start = 0
  while (start < magnitude.length && magnitude[start] === 0) start++
  const rest = magnitude.subarray(start)
  return sshString(rest.length > 0 && rest[0]! >= 0x80 ? Buffer.concat([Buffer.alloc(1), rest]) : rest)
}

/** Reads fields of RFC 4251 one after the other. @throws RangeError where the bytes end before a field does */
export function createFieldReader(bytes: Buffer): { uint32(): number; string(): Buffer; rest(): Buffer } {
  let offset = 0
  const take = (length: number): Buffer => {
    if (offset + length > bytes.length) throw new RangeError('a field ends early')
    offset += length
    return bytes.subarray(offset - length, offset)
  }
  const reader = {
    uint32: () => take(4).readUInt32BE(0),
    string: () => take(reader.uint32()),
    rest: () => bytes.subarray(offset),
  }
  return reader
}
