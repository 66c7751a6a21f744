/** Reads the expressions that patterns become, in Go's syntax, as far as a pattern can write them. */
import type { Alternative, Assertion, Item } from './automaton.ts'
import { negateRanges, normalizeRanges, unicodeSet, type CodeRanges } from './code-ranges.ts'

const DIGITS = ranges('09')
const SPACES = ranges('\t\n\f\r  ')
const WORDS = ranges('09AZ__az')

/** Escapes that stand for several characters; ASCII only, as in Go. */
const ESCAPED_SETS = new Map<string, CodeRanges>([
  ['d', DIGITS],
  ['D', negateRanges(DIGITS)],
  ['s', SPACES],
  ['S', negateRanges(SPACES)],
  ['w', WORDS],
  ['W', negateRanges(WORDS)],
])
const ESCAPED_CODES = new Map([
  ['a', 0x07],
  ['f', 0x0c],
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
  ['v', 0x0b],
])
const ASSERTIONS = new Map<string, Assertion>([
  ['b', 'wordBoundary'],
  ['B', 'noWordBoundary'],
  ['A', 'start'],
  ['z', 'end'],
])
/** `[:name:]` within brackets. */
const NAMED_SETS = new Map<string, CodeRanges>([
  ['alnum', ranges('09AZaz')],
  ['alpha', ranges('AZaz')],
  ['ascii', ranges('\0\x7f')],
  ['blank', ranges('\t\t  ')],
  ['cntrl', ranges('\0\x1f\x7f\x7f')],
  ['digit', DIGITS],
  ['graph', ranges('!~')],
  ['lower', ranges('az')],
  ['print', ranges(' ~')],
  ['punct', ranges('!/:@[`{~')],
  ['space', ranges('\t\r  ')],
  ['upper', ranges('AZ')],
  ['word', WORDS],
  ['xdigit', ranges('09AFaf')],
])

/** Pairs of characters, the first and the last of each range. */
function ranges(pairs: string): CodeRanges {
  return normalizeRanges(Array.from(pairs, (character) => character.codePointAt(0)!))
}

const NO_NEWLINE = negateRanges([0x0a, 0x0a])
const DIRECTORIES = '(.*/)?'
const MAX_REPETITIONS = 1000

interface Reader {
  readonly characters: readonly string[]
  at: number
}

/** Thrown and caught in this file. */
class Malformed extends Error {}

/** Undefined when the expression is malformed, which Go would tell when the pattern is used. */
export function parseExpression(expression: string): Alternative[] | undefined {
  const reader: Reader = { characters: Array.from(expression), at: 0 }
  try {
    const alternatives = [readAlternative(reader)]
    while (reader.characters[reader.at] === '|') {
      reader.at++
      alternatives.push(readAlternative(reader))
    }
    return alternatives
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}

function readAlternative(reader: Reader): Alternative {
  const { characters } = reader
  const items: Item[] = []
  while (reader.at < characters.length && characters[reader.at] !== '|') {
    for (const code of readQuoted(reader)) items.push(setOf([code, code]))
    if (reader.at >= characters.length || characters[reader.at] === '|') break
    const atom = readAtom(reader)
    items.push(...repeat(atom, readRepetition(reader)))
  }
  const isAnchoredAtStart = isAssertion(items[0], 'start')
  if (isAnchoredAtStart) items.shift()
  const isAnchoredAtEnd = isAssertion(items.at(-1), 'end')
  if (isAnchoredAtEnd) items.pop()
  return { items, isAnchoredAtStart, isAnchoredAtEnd }
}

// `\Q…\E`: what stands between them stands for itself; without an end, to the end of the pattern. A repetition behind it
// is not read as one of its last character.
function readQuoted(reader: Reader): number[] {
  const { characters } = reader
  const codes: number[] = []
  while (characters[reader.at] === '\\' && characters[reader.at + 1] === 'Q') {
    reader.at += 2
    while (reader.at < characters.length) {
      if (characters[reader.at] === '\\' && characters[reader.at + 1] === 'E') {
        reader.at += 2
        break
      }
      codes.push(characters[reader.at++]!.codePointAt(0)!)
    }
  }
  return codes
}

function isAssertion(item: Item | undefined, assertion: Assertion): boolean {
  return item?.kind === 'assertion' && item.assertion === assertion
}

function readAtom(reader: Reader): Item {
  const { characters } = reader
  const character = characters[reader.at]!
  if (character === '(') {
    reader.at += DIRECTORIES.length
    return { kind: 'directories' }
  }
  if (character === '[') return setOf(readClass(reader))
  if (character === '\\') return readEscape(reader)
  // What a repetition could follow is gone: two in a row, or one at the beginning.
  if (character === '*' || (character === '{' && repetitionAt(reader) !== undefined)) throw new Malformed()
  reader.at++
  if (character === '.') return setOf(NO_NEWLINE)
  if (character === '^') return { kind: 'assertion', assertion: 'start' }
  if (character === '$') return { kind: 'assertion', assertion: 'end' }
  return setOf([character.codePointAt(0)!, character.codePointAt(0)!])
}

function setOf(codes: CodeRanges): Item & { kind: 'set' } {
  return { kind: 'set', ranges: codes, min: 1, max: 1 }
}

interface Repetition {
  readonly min: number
  readonly max: number
  readonly length: number
}

// What is no repetition is a brace.
function repetitionAt({ characters, at }: Reader): Repetition | undefined {
  if (characters[at] === '*') return { min: 0, max: Infinity, length: 1 }
  if (characters[at] !== '{') return undefined
  const end = characters.indexOf('}', at)
  if (end === -1) return undefined
  const match = /^\{(0|[1-9]\d*)(?:(,)(0|[1-9]\d*)?)?\}$/.exec(characters.slice(at, end + 1).join(''))
  if (match === null) return undefined
  const min = Number(match[1])
  const max = match[3] !== undefined ? Number(match[3]) : match[2] === undefined ? min : Infinity
  return { min, max, length: match[0].length }
}

function readRepetition(reader: Reader): Repetition | undefined {
  const found = repetitionAt(reader)
  if (found === undefined) return undefined
  const { min, max } = found
  if (min > max || min > MAX_REPETITIONS || (max > MAX_REPETITIONS && max !== Infinity)) throw new Malformed()
  reader.at += found.length
  if (repetitionAt(reader) !== undefined) throw new Malformed()
  return found
}

function repeat(atom: Item, repetition: Repetition | undefined): Item[] {
  if (repetition === undefined) return [atom]
  // Its question mark is a repetition already.
  if (atom.kind === 'directories') throw new Malformed()
  const { min, max } = repetition
  if (atom.kind === 'set') return [{ ...atom, min, max }]
  return min === 0 ? [] : [atom]
}

function readEscape(reader: Reader): Item {
  const character = reader.characters[reader.at + 1]
  const assertion = ASSERTIONS.get(character ?? '')
  if (assertion !== undefined) {
    reader.at += 2
    return { kind: 'assertion', assertion }
  }
  const set = readEscapedSet(reader)
  if (set !== undefined) return setOf(set)
  const code = readCode(reader)
  return setOf([code, code])
}

// `\d` and its kind; `\pL`, `\p{Greek}`, `\P{^Greek}`.
function readEscapedSet(reader: Reader): CodeRanges | undefined {
  const { characters, at } = reader
  if (characters[at] !== '\\') return undefined
  const letter = characters[at + 1] ?? ''
  if (letter !== 'p' && letter !== 'P') {
    const set = ESCAPED_SETS.get(letter)
    if (set !== undefined) reader.at += 2
    return set
  }
  const end = characters[at + 2] === '{' ? characters.indexOf('}', at) : at + 2
  if (end === -1 || end >= characters.length) throw new Malformed()
  const written = characters
    .slice(at + 2, end + 1)
    .join('')
    .replace(/^\{(.*)\}$/s, '$1')
  reader.at = end + 1
  const name = written.replace(/^\^/, '')
  const ranges = unicodeSet(name)
  if (ranges === undefined) throw new Malformed()
  return (letter === 'P') === written.startsWith('^') ? ranges : negateRanges(ranges)
}

// Go takes an escape before punctuation as quoting; before any other letter or digit it is an error.
function readCode(reader: Reader): number {
  const character = reader.characters[reader.at++]
  if (character === undefined) throw new Malformed()
  if (character !== '\\') return character.codePointAt(0)!
  const escaped = reader.characters[reader.at++]
  if (escaped === undefined) throw new Malformed()
  const code = ESCAPED_CODES.get(escaped)
  if (code !== undefined) return code
  if (escaped === 'x') return readHexadecimal(reader)
  // One digit alone would be a reference to a group.
  if (/[0-7]/.test(escaped) && (escaped === '0' || /[0-7]/.test(reader.characters[reader.at] ?? ''))) {
    let digits = escaped
    while (digits.length < 3 && /[0-7]/.test(reader.characters[reader.at] ?? ''))
      digits += reader.characters[reader.at++]!
    return Number.parseInt(digits, 8)
  }
  if (!/^[!-/:-@[-`{-~]$/.test(escaped)) throw new Malformed()
  return escaped.codePointAt(0)!
}

function readHexadecimal(reader: Reader): number {
  const { characters, at } = reader
  const end = characters[at] === '{' ? characters.indexOf('}', at) + 1 : at + 2
  const digits = characters
    .slice(at, end)
    .join('')
    .replace(/^\{(.*)\}$/s, '$1')
  const code = /^[0-9a-fA-F]+$/.test(digits) && end <= characters.length ? Number.parseInt(digits, 16) : Infinity
  if (code > 0x10ffff || (characters[at] !== '{' && digits.length !== 2)) throw new Malformed()
  reader.at = end
  return code
}

function readClass(reader: Reader): CodeRanges {
  const { characters } = reader
  reader.at++
  const isNegated = characters[reader.at] === '^'
  if (isNegated) reader.at++
  const found: number[] = []
  for (let isFirst = true; isFirst || characters[reader.at] !== ']'; isFirst = false) {
    for (const code of readClassItem(reader)) found.push(code)
  }
  reader.at++
  const normal = normalizeRanges(found)
  return isNegated ? negateRanges(normal) : normal
}

function readClassItem(reader: Reader): CodeRanges {
  const { characters } = reader
  const named = readNamedSet(reader)
  if (named !== undefined) return named
  const escaped = readEscapedSet(reader)
  if (escaped !== undefined) return escaped
  const low = readCode(reader)
  if (characters[reader.at] !== '-' || characters[reader.at + 1] === ']') return [low, low]
  reader.at++
  const high = readCode(reader)
  if (high < low) throw new Malformed()
  return [low, high]
}

function readNamedSet(reader: Reader): CodeRanges | undefined {
  const { characters, at } = reader
  if (characters[at] !== '[' || characters[at + 1] !== ':') return undefined
  let end = at + 2
  while (end < characters.length && !(characters[end] === ':' && characters[end + 1] === ']')) end++
  if (end >= characters.length) return undefined
  const written = characters.slice(at + 2, end).join('')
  const set = NAMED_SETS.get(written.replace(/^\^/, ''))
  if (set === undefined) throw new Malformed()
  reader.at = end + 2
  return written.startsWith('^') ? negateRanges(set) : set
}
