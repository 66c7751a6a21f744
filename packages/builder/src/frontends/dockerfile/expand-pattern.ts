/** Patterns of `${name#pattern}`, `%` and `/`: `*` and `?` only, no brackets. */
import { Complaint } from './errors.ts'

interface PatternOptions {
  readonly greedy: boolean
  readonly anchored: boolean
}

const REGEXP_CHARACTERS = new Set('[]{}.+()|^$')

/**
 * The value without the part at its beginning that matches.
 * @throws Complaint when the pattern holds an escape that means nothing.
 */
export function trimPrefix(pattern: string, value: string, greedy: boolean): string {
  const match = toRegExp(pattern, { greedy, anchored: true }).exec(value)
  return match === null ? value : value.slice(match[0].length)
}

/** The value without the part at its end that matches. */
export function trimSuffix(pattern: string, value: string, greedy: boolean): string {
  // A regular expression finds the leftmost match, so both are turned round to find the shortest one at the end.
  const reversed = reversePattern(pattern)
  const match = toRegExp(reversed, { greedy, anchored: true }).exec(reverse(value))
  return match === null ? value : reverse(reverse(value).slice(match[0].length))
}

/** The value with the first match, or all of them, replaced. */
export function replacePattern(pattern: string, value: string, replacement: string, all: boolean): string {
  const expression = toRegExp(pattern, { greedy: true, anchored: false })
  if (all) return replaceAll(expression, value, replacement)
  const match = expression.exec(value)
  if (match === null) return value
  return value.slice(0, match.index) + replacement + value.slice(match.index + match[0].length)
}

function toRegExp(pattern: string, { greedy, anchored }: PatternOptions): RegExp {
  const characters = Array.from(pattern)
  let source = anchored ? '^' : ''
  for (let at = 0; at < characters.length; at++) {
    let character = characters[at]!
    if (character === '*') source += greedy ? '[^\\n]*' : '[^\\n]*?'
    else if (character === '?') source += '[^\\n]'
    else if (character !== '\\') source += quoteCharacter(character)
    else if (characters[at + 1] !== '}' && characters[at + 1] !== '/') {
      // Before } and / the escape belongs to ${} and not to the pattern, so it is dropped.
      at++
      character = characters[at] ?? '\ufffd'
      if (character !== '*' && character !== '?' && character !== '\\') {
        throw new Complaint(`invalid pattern (${pattern}) in substitution: invalid escape '\\${character}'`)
      }
      source += `\\${character}`
    }
  }
  return new RegExp(source, 'u')
}

function quoteCharacter(character: string): string {
  if (character === '/') return '\\/'
  return REGEXP_CHARACTERS.has(character) ? `\\${character}` : character
}

// Unlike JavaScript's: an empty match right behind a match does not count, and `$0` in the replacement stands for the
// match, any other `$name` for nothing.
function replaceAll(expression: RegExp, value: string, replacement: string): string {
  const global = new RegExp(expression.source, 'gu')
  let result = ''
  let copied = 0
  let lastEnd = -1
  for (const match of value.matchAll(global)) {
    if (match[0] === '' && match.index === lastEnd) continue
    result += value.slice(copied, match.index) + fillTemplate(replacement, match[0])
    copied = match.index + match[0].length
    lastEnd = copied
  }
  return result + value.slice(copied)
}

function fillTemplate(template: string, match: string): string {
  return template.replace(/\$(?:(\$)|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu, (_, dollar, braced, bare) => {
    if (dollar !== undefined) return '$'
    return (braced ?? bare) === '0' ? match : ''
  })
}

function reversePattern(pattern: string): string {
  const reversed: string[] = []
  const characters = Array.from(pattern)
  for (let at = 0; at < characters.length; at++) {
    if (characters[at] === '\\' && at + 1 < characters.length) {
      at++
      reversed.unshift('\\', characters[at]!)
    } else reversed.unshift(characters[at]!)
  }
  return reversed.join('')
}

function reverse(text: string): string {
  return Array.from(text).reverse().join('')
}
