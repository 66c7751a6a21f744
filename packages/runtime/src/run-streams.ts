import type { Readable, Writable } from 'node:stream'
import type { StepControl, StepIo } from './steps/types.ts'

/** @internal */
export interface Output {
  readonly stdout: Readable
  readonly stderr: Readable
  readonly push: StepIo['onOutput']
}

/** At first need: what runs no process on its own starts 4 ms sooner without. */
function streams() {
  return process.getBuiltinModule('node:stream')
}

/** Two streams over one connection: while one of them is full neither gets more. */
export function outputStreams(onControl: (act: (step: StepControl) => void) => void): Output {
  const full = new Set<Readable>()
  const { Readable } = streams()
  const open = (): Readable => {
    const makeRoom = (): void => {
      if (full.delete(stream) && full.size === 0) onControl((step) => step.resume())
    }
    const stream: Readable = new Readable({
      read: makeRoom,
      // What nobody wants any more holds the other one up no longer.
      destroy: (error, done) => {
        makeRoom()
        done(error)
      },
    })
    return stream
  }
  const [stdout, stderr] = [open(), open()]
  const push = (name: 'stdout' | 'stderr', chunk: Uint8Array): void => {
    const stream = name === 'stdout' ? stdout : stderr
    // Whoever destroyed it wants no more.
    if (stream.destroyed || stream.push(chunk)) return
    full.add(stream)
    onControl((step) => step.pause())
  }
  return { stdout, stderr, push }
}

const CHUNK_BYTES = 64 * 1024

/** A chunk is done when the process's pipe has taken it: that bounds what is held. */
export function inputStream(control: Promise<StepControl>): Writable {
  const send = async (bytes: Uint8Array): Promise<void> => {
    const errno = await (await control).write(bytes)
    if (errno !== undefined) throw Object.assign(new Error(`write ${errno}`), { code: errno, syscall: 'write' })
  }
  const sendAll = async (bytes: Buffer): Promise<void> => {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) await send(bytes.subarray(at, at + CHUNK_BYTES))
  }
  const end = (): Promise<void> => send(Buffer.alloc(0)).catch(() => undefined)
  const input: Writable = new (streams().Writable)({
    write: (chunk: Buffer, _encoding, done) => void finish(sendAll(chunk), done),
    // What has closed its input needs no end of it.
    final: (done) => void finish(end(), done),
    // As of a child process: destroyed is closed.
    destroy: (error, done) => {
      if (!input.writableFinished) void end()
      done(error)
    },
  })
  return input
}

async function finish(work: Promise<void>, done: (error?: Error) => void): Promise<void> {
  let failure: Error | undefined
  try {
    await work
  } catch (error) {
    failure = error as Error
  }
  done(failure)
}
