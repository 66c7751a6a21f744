import { BuilderError } from '../../base/errors.ts'

/** A mode of `--chmod`, ready to be laid on a source's mode. */
export type ModeChange = (mode: number, isDirectory: boolean) => number

const SET_IDS = 0o6000
const STICKY = 0o1000
const ALL = SET_IDS | 0o777
const CLASSES: Readonly<Record<string, number>> = { a: ALL, u: 0o4700, g: 0o2070, o: 0o007 }
const SHIFTS = [6, 3, 0] as const

interface ModeState {
  readonly before: number
  readonly isDirectory: boolean
  mode: number
}
type Step = (state: ModeState) => void

/**
 * A symbolic mode (`u=rwX,go=rX`) as chmod(1) of the BSDs reads it, with a umask of 0; octal digits set the whole mode.
 * Throws OCI_COPY_INVALID with BuildKit's wording.
 */
export function parseModeChange(text: string): ModeChange {
  if (/^[0-9]/.test(text)) {
    if (!/^[0-7]{1,5}$/.test(text) || Number.parseInt(text, 8) > 0o7777) throw invalidSyntax()
    const value = Number.parseInt(text, 8)
    return () => value
  }
  const steps = text.split(',').flatMap(parseClause)
  return (mode, isDirectory) => {
    const state: ModeState = { before: mode, isDirectory, mode }
    for (const step of steps) step(state)
    return state.mode
  }
}

function parseClause(clause: string): Step[] {
  const match = /^([augo]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause)
  if (match === null) throw invalidSyntax()
  let who = 0
  for (const letter of match[1]!) who |= CLASSES[letter]!
  const steps: Step[] = []
  for (const part of match[2]!.match(/[-+=][rwxXstugo]*/g)!) who = parsePart(part, who, steps)
  return steps
}

/** One operator with its permissions. Answers the classes of the next operator: `t` adds the sticky bit to them. */
function parsePart(part: string, classes: number, steps: Step[]): number {
  const operator = part[0]!
  let who = classes & ~STICKY
  let bits = 0
  let searchBits = 0
  let hasCleared = false
  const flush = (): void => {
    if (bits !== 0 || (operator === '=' && !hasCleared)) {
      steps.push(change(operator, who, bits))
      hasCleared = true
    }
    if (searchBits !== 0) steps.push(addSearch(who, searchBits))
    bits = searchBits = 0
  }
  for (const letter of part.slice(1)) {
    const isOnlyOther = who !== 0 && (who & ~0o007) === 0
    if (letter === 'r') bits |= 0o444
    else if (letter === 'w') bits |= 0o222
    else if (letter === 'x' || (letter === 'X' && operator === '-')) bits |= 0o111
    else if (letter === 'X') searchBits = 0o111
    else if (letter === 's') bits |= isOnlyOther ? 0 : SET_IDS
    else if (letter === 't') {
      if (isOnlyOther) continue
      who |= STICKY
      bits |= STICKY
    } else {
      if (bits !== 0 || searchBits !== 0) flush()
      hasCleared = true
      steps.push(copyClass(operator, who, letter))
    }
  }
  flush()
  return who
}

function change(operator: string, who: number, bits: number): Step {
  const effective = who === 0 ? bits : who & bits
  if (operator === '-') return (state) => void (state.mode &= ~effective)
  const cleared = operator === '=' ? (who === 0 ? ALL : who) : 0
  return (state) => void (state.mode = (state.mode & ~cleared) | effective)
}

/** `X`: search and execute for directories, and for files that somebody may execute already. */
function addSearch(who: number, bits: number): Step {
  const effective = who === 0 ? bits : who & bits
  return (state) => {
    if (state.isDirectory || (state.before & 0o111) !== 0) state.mode |= effective
  }
}

/** `g=u`: the permissions of one class for others. */
function copyClass(operator: string, who: number, letter: string): Step {
  const from = letter === 'u' ? 6 : letter === 'g' ? 3 : 0
  const targets = SHIFTS.filter((shift) => who === 0 || (who & (0o4 << shift)) !== 0)
  return (state) => {
    const value = (state.mode >> from) & 7
    for (const shift of targets) {
      if (operator === '-') state.mode &= ~(value << shift)
      else if (operator === '+') state.mode |= value << shift
      else state.mode = (state.mode & ~(7 << shift)) | (value << shift)
    }
  }
}

function invalidSyntax(): BuilderError {
  return new BuilderError('OCI_COPY_INVALID', 'invalid syntax', {
    hint: 'modes of --chmod are octal (0755) or symbolic (u=rwX,go=rX)',
  })
}
