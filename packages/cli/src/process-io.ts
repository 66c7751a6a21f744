import { wantsColor } from './render/color.ts'
import { forTerminal } from './render/terminal-text.ts'
import type { CommandIo, TextOutput } from './command-io.ts'

// Whatever an interrupted build still holds is taken back by the kernel: waiting longer helps nobody.
const graceMs = 700

/** Streams and environment of this process; SIGINT, SIGTERM and SIGHUP abort it, a second one ends the process at once. */
export function processIo(): CommandIo {
  const controller = new AbortController()
  const interrupt = (name: NodeJS.Signals): void => {
    const status = name === 'SIGINT' ? 130 : name === 'SIGTERM' ? 143 : 129
    if (controller.signal.aborted) process.exit(status)
    process.exitCode = status
    controller.abort(new Error(`stopped by ${name}`))
    setTimeout(() => process.exit(status), graceMs).unref()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt)
  const { env } = process
  return {
    // Made when somebody reads it: that takes 3 ms.
    get stdin() {
      return process.stdin
    },
    get stdout() {
      return textOutput(standardOutput(), standardOutput().isTTY)
    },
    get stderr() {
      return textOutput(standardError(), true)
    },
    get terminal() {
      return standardError()
    },
    env,
    get isColored() {
      return wantsColor(env, standardError().isTTY)
    },
    signal: controller.signal,
  }
}

/** Node makes them at their first use, in 4 ms: `tsbuild tag` says nothing and owes none. */
const made = new Map<1 | 2, NodeJS.WriteStream>()

/** Waits until all that was said has left this process: what a slow reader of a pipe has not taken yet would be lost. */
export async function drainOutputs(): Promise<void> {
  for (const stream of made.values()) {
    if (stream.writableLength === 0) continue
    await new Promise<void>((done) => {
      stream.write('', () => done())
    })
  }
}

/** Standard output of this process. */
export function standardOutput(): NodeJS.WriteStream {
  const { stdout } = process
  if (!made.has(1)) {
    made.set(1, stdout)
    stdout.on('error', (error: NodeJS.ErrnoException) => {
      // An output that goes there listens itself, and says what it could not write.
      if (stdout.listenerCount('error') > 1) return
      // `tsbuild images | head -1` closes the pipe early: that is the end of the work, and no error.
      process.exit(error.code === 'EPIPE' ? 0 : 1)
    })
  }
  return stdout
}

/** Standard error of this process. */
export function standardError(): NodeJS.WriteStream {
  const { stderr } = process
  if (!made.has(2)) {
    made.set(2, stderr)
    // Nobody reads the progress any more: the work goes on, its status is the answer.
    stderr.on('error', () => undefined)
  }
  return stderr
}

function textOutput(stream: NodeJS.WriteStream, isForTerminal: boolean): TextOutput {
  return {
    write: (text) => void stream.write(isForTerminal ? forTerminal(text) : text),
    isTTY: stream.isTTY,
    get writableLength() {
      return stream.writableLength
    },
    get columns() {
      return stream.columns
    },
  }
}
