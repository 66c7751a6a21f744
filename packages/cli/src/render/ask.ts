import type { CommandIo } from '../command-io.ts'

/** Far above any password; what is longer is no answer. */
const MAX_INPUT = 1024 * 1024

/** Asks on the terminal for a line. The end of the input is an empty answer. */
export async function askLine(io: CommandIo, question: string): Promise<string> {
  io.terminal.write(question)
  return await readLine(io)
}

/** As {@link askLine}; what is typed is not shown. */
export async function askHidden(io: CommandIo, question: string): Promise<string> {
  const { stdin } = io
  io.terminal.write(question)
  // Without echo Node gives every key: those that a terminal would act on are ours to act on.
  stdin.setRawMode(true)
  try {
    return await readLine(io)
  } finally {
    stdin.setRawMode(false)
    io.terminal.write('\n')
  }
}

async function readLine({ stdin, signal }: CommandIo): Promise<string> {
  let line = ''
  return await new Promise<string>((resolve, reject) => {
    const end = (act: () => void): void => {
      stdin.off('data', take).off('end', close).off('error', fail).pause()
      signal.removeEventListener('abort', abort)
      act()
    }
    const abort = (): void => end(() => reject(signal.reason as Error))
    const close = (): void => end(() => resolve(line))
    const fail = (error: Error): void => end(() => reject(error))
    const take = (data: Buffer | string): void => {
      for (const key of data.toString()) {
        if (key === '\r' || key === '\n' || key === '\u0004') return close()
        // Ctrl-C: the handler of the process says what becomes of it.
        if (key === '\u0003') process.kill(process.pid, 'SIGINT')
        else if (key === '\u007f' || key === '\b') line = line.slice(0, -1)
        else if (key === '\u0015') line = ''
        else if (line.length < MAX_INPUT) line += key
      }
    }
    if (signal.aborted) return abort()
    stdin.on('data', take).on('end', close).on('error', fail)
    stdin.resume()
    signal.addEventListener('abort', abort, { once: true })
  })
}

/** All of standard input without the line end at its end, as Docker reads a password: what else stands in it belongs to it. */
export async function readSecret({ stdin }: CommandIo): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_INPUT) return ''
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/(?:\r\n|\n|\r)$/, '')
}
