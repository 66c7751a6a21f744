import { createInterface } from 'node:readline'
import type { CommandIo } from './command-io.ts'

/** Answers every line of standard input with one line; empty lines are passed over. */
export async function answerLines(io: CommandIo, answer: (line: string) => string): Promise<number> {
  const lines = createInterface({ input: io.stdin, crlfDelay: Number.POSITIVE_INFINITY })
  for await (const line of lines) {
    if (line.trim() !== '') io.stdout.write(`${answer(line)}\n`)
  }
  return 0
}
