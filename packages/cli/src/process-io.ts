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
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // An output that goes there listens itself, and says what it could not write.
    if (process.stdout.listenerCount('error') > 1) return
    // `tsbuild images | head -1` closes the pipe early: that is the end of the work, and no error.
    process.exit(error.code === 'EPIPE' ? 0 : 1)
  })
  // Nobody reads the progress any more: the work goes on, its status is the answer.
  process.stderr.on('error', () => undefined)
  const { stdout, stderr, env } = process
  return {
    // Made when somebody reads it: that takes 3 ms.
    get stdin() {
      return process.stdin
    },
    stdout: textOutput(stdout, stdout.isTTY),
    stderr: textOutput(stderr, true),
    terminal: stderr,
    env,
    isColored: wantsColor(env, stderr.isTTY),
    signal: controller.signal,
  }
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
