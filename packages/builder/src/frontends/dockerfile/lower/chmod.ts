import { Complaint } from '../expand/complaint.ts'

/** Mode of a copy: a number, or a symbolic one to be applied to each file. −1: keep the source's. */
export interface CopyMode {
  readonly mode: number
  readonly modeStr: string
}

const KEEP_MODE: CopyMode = { mode: -1, modeStr: '' }

const OCTAL = /^[0-7]+$/
const MAX_MODE = 0o7777
// chmod(1): who, then operations with permissions.
const CLAUSE = '[augo]*(?:[+=-][rstwXxugo]*)+'
const SYMBOLIC = new RegExp(`^${CLAUSE}(?:,${CLAUSE})*$`)

/**
 * Reads the value of `--chmod`.
 * @throws Complaint with BuildKit's words.
 */
export function parseChmod(text: string): CopyMode {
  if (text === '') return KEEP_MODE
  const isOctal = OCTAL.test(text)
  if (isOctal && Number.parseInt(text, 8) <= MAX_MODE) return { mode: Number.parseInt(text, 8), modeStr: '' }
  if (isOctal || /^[0-9]/.test(text)) {
    throw new Complaint(`invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`)
  }
  if (!SYMBOLIC.test(text)) throw new Complaint('invalid syntax')
  return { mode: 0, modeStr: text }
}
