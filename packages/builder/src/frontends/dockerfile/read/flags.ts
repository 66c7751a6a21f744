/** Flags between the keyword and the arguments: how they are cut, and how an instruction reads them. */
import type { EscapeToken } from '../expand/types.ts'
import { Complaint } from '../expand/complaint.ts'
import { withSuggestion } from '../../../base/suggest.ts'
import { encodeText, decodeText, isAscii, isSpaceCode, lowerCase } from '../../../base/text.ts'

export interface CutFlags {
  /** Flags without quotes and escapes. */
  readonly flags: string[]
  /** What follows them. */
  readonly rest: string
}

/** Cuts leading words that begin with `--` off; a lone `--` ends them. */
export function cutFlags(text: string, escape: EscapeToken): CutFlags {
  if (isAscii(text)) return cutFlagsFromBytes(text, escape)
  // BuildKit walks over bytes here, and takes each for a character: a flag with letters beyond ASCII comes out as the
  // Latin-1 reading of its bytes, and U+0085 or U+00A0 among those bytes ends it.
  const { flags, rest } = cutFlagsFromBytes(encodeText(text).toString('latin1'), escape)
  return { flags, rest: decodeText(Buffer.from(rest, 'latin1')) }
}

function cutFlagsFromBytes(text: string, escape: EscapeToken): CutFlags {
  const flags: string[] = []
  let at = 0
  for (;;) {
    while (at < text.length && isSpaceCode(text.charCodeAt(at))) at++
    if (at === text.length) return { flags, rest: '' }
    if (text[at] !== '-' || text[at + 1] !== '-') return { flags, rest: text.slice(at) }
    const [word, end] = readFlag(text, at, escape)
    if (word === '--') return { flags, rest: text.slice(end) }
    flags.push(word)
    at = end
  }
}

function readFlag(text: string, start: number, escape: EscapeToken): [word: string, end: number] {
  let word = ''
  let quote = ''
  let at = start
  for (; at < text.length; at++) {
    const character = text[at]!
    if (character === escape) {
      at++
      if (at < text.length) word += text[at]!
      else break
    } else if (quote !== '') {
      if (character === quote) quote = ''
      else word += character
    } else if (character === "'" || character === '"') quote = character
    else if (isSpaceCode(text.charCodeAt(at))) break
    else word += character
  }
  return [word, Math.min(at, text.length)]
}

type FlagType = 'string' | 'boolean' | 'list'

/** Names of the flags that an instruction knows, with their types. */
export type FlagTable = Readonly<Record<string, FlagType>>

/** The flags that are written; a flag that is not written is undefined or an empty list. */
export interface FlagValues<T extends FlagTable> {
  readonly strings: { readonly [N in keyof T]?: string }
  readonly booleans: { readonly [N in keyof T]?: boolean }
  readonly lists: { readonly [N in keyof T]?: readonly string[] }
  /** Names of the flags that are written, in their order. */
  readonly used: readonly string[]
}

/**
 * Reads flags by a table.
 * @throws Complaint for a flag that is unknown, written twice, or without the value that its type wants.
 */
export function readFlags<T extends FlagTable>(flags: readonly string[], table: T): FlagValues<T> {
  const strings: Record<string, string> = {}
  const booleans: Record<string, boolean> = {}
  const lists: Record<string, string[]> = {}
  const used: string[] = []
  for (const [index, flag] of flags.entries()) {
    const { name, option, value } = cutValue(flag)
    const type = Object.hasOwn(table, name) ? table[name] : undefined
    if (type === undefined) {
      const message = withSuggestion(`unknown flag: ${option}`, name, Object.keys(table), { caseSensitive: true })
      throw new Complaint(message, index)
    }
    if (used.includes(name)) {
      if (type !== 'list') throw new Complaint(`duplicate flag specified: ${option}`, index)
    } else used.push(name)
    if (type === 'boolean') booleans[name] = readBoolean(option, value, index)
    else if (value === undefined) throw new Complaint(`missing a value on flag: ${option}`, index)
    else if (type === 'string') strings[name] = value
    else (lists[name] ??= []).push(value)
  }
  return { strings, booleans, lists, used }
}

function cutValue(flag: string): { name: string; option: string; value: string | undefined } {
  const at = flag.indexOf('=')
  const option = at === -1 ? flag : flag.slice(0, at)
  return { name: option.slice(2), option, value: at === -1 ? undefined : flag.slice(at + 1) }
}

function readBoolean(option: string, value: string | undefined, index: number): boolean {
  if (value === '') throw new Complaint(`missing a value on flag: ${option}`, index)
  const word = lowerCase(value ?? 'true')
  if (word !== 'true' && word !== 'false') {
    throw new Complaint(`expecting boolean value for flag ${option}, not: ${value}`, index)
  }
  return word === 'true'
}
