import { booleanWord } from '../boolean-word.ts'
import type { ForeignWords } from '../flag-types.ts'
import { UsageError } from '../usage-error.ts'
import type { ForeignFlag, ForeignValue, Note, Notes } from './flag-row.ts'

/** @param notes where a flag that no words of ours say leaves its mark */
export function foreignWords(
  flags: readonly ForeignFlag[],
  values: readonly ForeignValue[],
  notes: Notes,
): ForeignWords {
  const wishes = new Map<string, string>()
  return {
    ofFlag: (typed, given, next) => {
      const [first, ...more] = flags.filter(({ name, char }) => typed === `--${name}` || typed === `-${char}`)
      if (first === undefined) return undefined
      const value = given ?? (first.isBoolean === true ? 'true' : next())
      const flag = [first, ...more].find(({ charFor }) => typed.startsWith('--') || charFor?.test(value)) ?? first
      if (flag.isBoolean === true) checkOneWish(wishes, flag.name, typed, value)
      return translate(flag, typed, value, notes)
    },
    ofValue: (typed, value) => {
      const row = values.find((one) => one.typed.includes(typed) && one.when.test(value))
      return row?.as.map((word) => word.replace('{}', () => value))
    },
  }
}

/** The last one counts in these programs; a wish that was acted on is not taken back here. */
function checkOneWish(wishes: Map<string, string>, name: string, typed: string, value: string): void {
  const word = booleanWord(value) ?? value
  const before = wishes.get(name) ?? word
  wishes.set(name, word)
  if (before !== word) throw new UsageError(`${typed} is given as ${before} and as ${word}`, { hint: 'give it once' })
}

/** None where its wish is how `tsbuild` works anyway. */
function translate(flag: ForeignFlag, typed: string, value: string, notes: Notes): readonly string[] {
  const plain = flag.isBoolean === true ? booleanWord(value) : value
  if (plain === undefined) throw new UsageError(`invalid argument "${value}" for ${typed}`, { hint: 'true or false' })
  if (flag.done === 'any' || flag.done?.includes(plain)) return []
  const isMeant = flag.when?.test(value) ?? true
  if (isMeant) {
    const plainValue = value.replace(flag.strip ?? '', '')
    const fill = (word: string): string => word.replaceAll('{}', () => plainValue)
    if (flag.note !== undefined) addNote(notes, flag.note, value)
    if (flag.attribute !== undefined) addNote(notes, 'attribute', fill(flag.attribute))
    if (flag.as !== undefined) return flag.as.map(fill)
    if (flag.note !== undefined || flag.attribute !== undefined) return []
  }
  const tool = flag.tool ?? 'others'
  // Other values of the flag are taken: that there is no such flag would be wrong. A value that never is may be a password.
  const isNeverTaken = (flag.done ?? flag.when) === undefined || (flag.isBoolean === true && plain === 'true')
  const message =
    flag.as === undefined && isNeverTaken
      ? `${typed} is a flag of ${tool}, which tsbuild does not have`
      : `${typed}=${withoutLogin(value)}: ${typed} is a flag of ${tool}, and tsbuild does not take it with this value`
  throw new UsageError(message, { hint: flag.use })
}

function addNote(notes: Notes, note: Note, value: string): void {
  notes.set(note, [...(notes.get(note) ?? []), value])
}

/** The login of an address may be a password. */
function withoutLogin(value: string): string {
  return value.replace(/:\/\/[^/]*@/, '://***@')
}

/** What the reference of the flags says about one. */
export function describeForeign(flag: ForeignFlag): string {
  const { as, done, use, means, attribute } = flag
  const parts: string[] = []
  if (as !== undefined)
    parts.push(
      `as \`${as.map((word) => word.replace('{}', flag.name === 'context' ? 'CONTEXT' : 'VALUE')).join(' ')}\``,
    )
  if (attribute !== undefined) parts.push(`\`${attribute.replace('{}', 'VALUE')}\` of each \`-o\` that writes an image`)
  if (means !== undefined) parts.push(means)
  if (done === 'any') parts.push('taken: nothing needs it here')
  else if (done !== undefined) parts.push(`\`${done.join('`, `')}\`: taken, it is so anyway`)
  if (use !== undefined && done !== 'any' && done?.length !== 2) parts.push(parts.length === 0 ? use : `else: ${use}`)
  return parts.join('; ')
}
