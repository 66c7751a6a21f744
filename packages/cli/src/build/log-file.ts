import { closeSync, openSync, writeSync } from 'node:fs'
import type { CommandIo, TextOutput } from '../command-io.ts'
import { forTerminal } from '../render/terminal-text.ts'
import { UsageError } from '../usage-error.ts'

/** Progress in a file, which only its owner reads, as buildah's `--logfile` has it; an error is still told outside. */
export function openLogFile(path: string, io: CommandIo): CommandIo & Disposable {
  let fd: number
  try {
    fd = openSync(path, 'w', 0o600)
  } catch (cause) {
    throw new UsageError(`--logfile=${path}: ${(cause as Error).message}`, { hint: 'name a file that can be written' })
  }
  const stderr: TextOutput = { write: (text) => void writeSync(fd, forTerminal(text)), isTTY: false, writableLength: 0 }
  // What is a getter there is made at its first use.
  return Object.create(io, {
    stderr: { value: stderr },
    isColored: { value: false },
    [Symbol.dispose]: { value: () => closeSync(fd) },
  }) as CommandIo & Disposable
}
