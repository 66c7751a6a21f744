/**
 * How large what a Dockerfile says may grow. Variables make a text exponential: `ENV A=$A$A` in forty lines is more than
 * any machine holds. BuildKit stops at the 16 MiB that one of its messages may have (for a graph, or an image config).
 */
import { Complaint } from './complaint.ts'

/** Characters of one expanded word, and bytes of an image config. */
export const MAX_TEXT_LENGTH = 16_777_216

/** Characters of all that instructions leave: history, environments of steps, contents of files. */
const MAX_TOTAL_LENGTH = 4 * MAX_TEXT_LENGTH

export interface TextBudget {
  /** @throws Complaint when more was taken than there is. */
  spend(length: number): void
}

export function createTextBudget(): TextBudget {
  let left = MAX_TOTAL_LENGTH
  return {
    spend(length) {
      left -= length
      if (left < 0) throw tooLarge('variables make the image config and the steps', MAX_TOTAL_LENGTH)
    },
  }
}

export function tooLarge(what: string, limit: number): Complaint {
  return new Complaint(`${what} larger than ${limit} characters`)
}
