import { deserialize, serialize } from 'node:v8'
import type { Socket } from 'node:net'
import { isTsOciError, TsOciError } from '../errors.ts'
import type { TsOciErrorOptions } from '../errors.ts'

export type JobMessage =
  | { readonly id: number; readonly moduleUrl: string; readonly name: string; readonly input: unknown }
  | { readonly id: number; readonly cancel: true }

export type JobReply =
  | { readonly id: number; readonly output: unknown }
  | { readonly id: number; readonly error: Error }

/** An error as facts: classes do not survive serialisation. */
interface WireError {
  readonly code: string | undefined
  readonly message: string
  readonly stack: string | undefined
  readonly options: Omit<TsOciErrorOptions, 'cause'>
}

type WireReply = { readonly id: number; readonly output: unknown } | { readonly id: number; readonly error: WireError }

/** Sends one message: its length (u32, little endian) and the bytes of v8.serialize. */
export function writeMessage(socket: Socket, message: JobMessage): void {
  write(socket, message)
}

export function writeReply(socket: Socket, reply: JobReply): void {
  const wire: WireReply = 'error' in reply ? { id: reply.id, error: toWire(reply.error) } : reply
  write(socket, wire)
}

function write(socket: Socket, value: unknown): void {
  const body = serialize(value)
  const head = Buffer.allocUnsafe(4)
  head.writeUInt32LE(body.length)
  socket.cork()
  socket.write(head)
  socket.write(body)
  socket.uncork()
}

/** Takes chunks and gives whole messages. */
export function readMessage(onMessage: (message: JobMessage) => void): (chunk: Buffer) => void {
  return createReader((value) => onMessage(value as JobMessage))
}

/** Takes chunks and gives whole replies, their errors typed again. */
export function readReply(onReply: (reply: JobReply) => void): (chunk: Buffer) => void {
  return createReader((value) => {
    const reply = value as WireReply
    onReply('error' in reply ? { id: reply.id, error: fromWire(reply.error) } : reply)
  })
}

function createReader(onValue: (value: unknown) => void): (chunk: Buffer) => void {
  // Joined only when a message is whole: a large output would else be copied once for each of its chunks.
  let chunks: Buffer[] = []
  let held = 0
  return (chunk) => {
    chunks.push(chunk)
    held += chunk.length
    while (held >= 4) {
      if (chunks[0]!.length < 4) chunks = [Buffer.concat(chunks)]
      const length = chunks[0]!.readUInt32LE(0)
      if (held < 4 + length) return
      const joined = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      const rest = joined.subarray(4 + length)
      chunks = rest.length === 0 ? [] : [rest]
      held = rest.length
      onValue(deserialize(joined.subarray(4, 4 + length)))
    }
  }
}

function toWire(error: Error): WireError {
  const { code } = error as { code?: unknown }
  const options = isTsOciError(error)
    ? { hint: error.hint, location: error.location, codeFrame: error.codeFrame, details: error.details }
    : {}
  return { code: typeof code === 'string' ? code : undefined, message: error.message, stack: error.stack, options }
}

function fromWire(wire: WireError): Error {
  if (wire.code?.startsWith('OCI_')) return new TsOciError(wire.code, wire.message, wire.options)
  const error = new Error(wire.message)
  if (wire.stack !== undefined) error.stack = wire.stack
  return wire.code === undefined ? error : Object.assign(error, { code: wire.code })
}
