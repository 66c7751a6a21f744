import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import type { CommandIo } from './command-io.ts'

/** Asks on the terminal; the end of the input is a no, and so is everything that does not begin with a y. */
export async function isConfirmed(question: string, io: CommandIo): Promise<boolean> {
  const reader = createInterface({ input: io.stdin, output: io.terminal })
  // On a terminal readline keeps Ctrl-C to itself.
  reader.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    // The end of the input answers nothing, and a question of readline would wait for ever: that is a no.
    const ended = once(reader, 'close').then(() => '\n')
    const answer = await Promise.race([reader.question(`${question} [y/N] `, { signal: io.signal }), ended])
    if (answer === '\n') io.stderr.write(answer)
    return /^y(es)?$/i.test(answer.trim())
  } catch (error) {
    if (io.signal.aborted) return false
    throw error
  } finally {
    reader.close()
  }
}
