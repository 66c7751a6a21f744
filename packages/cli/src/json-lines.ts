import { createInterface } from 'node:readline'
import type { Session } from './session.ts'

/** Answers every line of standard input with one line; empty lines are passed over. */
export async function answerLines(session: Session, answer: (line: string) => string): Promise<number> {
  const lines = createInterface({ input: session.stdin, crlfDelay: Number.POSITIVE_INFINITY })
  for await (const line of lines) {
    if (line.trim() !== '') session.stdout.write(`${answer(line)}\n`)
  }
  return 0
}
