import { isNamePoint, isPrintable, runeAt } from './bytes.ts'
import { quote, unicodeName } from './quote.ts'

/** Words that begin or end something; a field or function of that name is none of them. */
export const keywords = [
  'block',
  'break',
  'continue',
  'define',
  'else',
  'end',
  'if',
  'range',
  'nil',
  'template',
  'with',
] as const
export type Keyword = (typeof keywords)[number]

export type TokenType =
  | Keyword
  | 'text'
  | 'open'
  | 'close'
  | 'space'
  | 'assign'
  | 'declare'
  | 'pipe'
  | 'string'
  | 'raw string'
  | 'variable'
  | 'char'
  | 'dot'
  | 'field'
  | 'number'
  | 'complex'
  | 'identifier'
  | 'bool'
  | '('
  | ')'
  | 'punctuation'
  | 'EOF'
  | 'error'

export interface Token {
  readonly type: TokenType
  /** Byte at which it begins. */
  readonly at: number
  readonly text: string
  readonly line: number
}

const isBlank = (char: string | undefined) => char === ' ' || char === '\t' || char === '\r' || char === '\n'
const blanks = /[ \t\r\n]+/y
const blanksAtEnd = /[ \t\r\n]+$/
const simple: Readonly<Record<string, TokenType>> = { '=': 'assign', '|': 'pipe' }

/** Reads a template token by token, as text/template does: a mistake is a token, met when the parser comes to it. */
export class Lexer {
  readonly #input: string
  #at = 0
  #line = 1
  #counted = 0
  #isInside = false
  #depth = 0
  #failed: Token | undefined

  constructor(input: string) {
    this.#input = input
  }

  next(): Token {
    if (this.#failed !== undefined) return { ...this.#failed, type: 'EOF', text: 'EOF' }
    return this.#isInside ? this.#inside() : this.#outside()
  }

  #take(type: TokenType, start: number, end: number): Token {
    this.#at = end
    return { type, at: start, text: this.#input.slice(start, end), line: this.#lineAt(start) }
  }

  #fail(message: string, start: number): Token {
    this.#failed = { type: 'error', at: start, text: message, line: this.#lineAt(start) }
    return this.#failed
  }

  /** Places only grow, so that each line end is counted once. */
  #lineAt(at: number): number {
    for (;;) {
      const found = this.#input.indexOf('\n', this.#counted)
      if (found < 0 || found >= at) return this.#line
      this.#line++
      this.#counted = found + 1
    }
  }

  #outside(): Token {
    for (;;) {
      const start = this.#at
      const open = this.#input.indexOf('{{', start)
      if (open < 0)
        return start < this.#input.length
          ? this.#take('text', start, this.#input.length)
          : { type: 'EOF', at: start, text: 'EOF', line: this.#lineAt(start) }
      const trims = this.#input[open + 2] === '-' && isBlank(this.#input[open + 3])
      const text = this.#input.slice(start, open)
      const kept = trims ? text.replace(blanksAtEnd, '') : text
      if (kept !== '') {
        const token = this.#take('text', start, start + kept.length)
        this.#at = open
        return token
      }
      const after = open + 2 + (trims ? 2 : 0)
      if (!this.#input.startsWith('/*', after)) {
        this.#isInside = true
        this.#depth = 0
        const token = this.#take('open', open, open + 2)
        this.#at = after
        return token
      }
      const failure = this.#comment(after)
      if (failure !== undefined) return failure
    }
  }

  #comment(start: number): Token | undefined {
    const end = this.#input.indexOf('*/', start + 2)
    if (end < 0) return this.#fail('unclosed comment', start)
    const close = this.#closeAt(end + 2)
    if (close === undefined) return this.#fail('comment ends before closing delimiter', start)
    this.#at = close.next
    return undefined
  }

  /** A `}}`, or a ` -}}` with the blanks behind it, that stands here. */
  #closeAt(at: number): { begin: number; next: number } | undefined {
    const input = this.#input
    if (isBlank(input[at]) && input.startsWith('-}}', at + 1)) {
      blanks.lastIndex = at + 4
      return { begin: at + 2, next: at + 4 + (blanks.exec(input)?.[0].length ?? 0) }
    }
    return input.startsWith('}}', at) ? { begin: at, next: at + 2 } : undefined
  }

  #inside(): Token {
    const start = this.#at
    const close = this.#closeAt(start)
    if (close !== undefined) return this.#close(start, close)
    const { point, size } = runeAt(this.#input, start)
    if (size === 0) return this.#fail('unclosed action', start)
    const char = this.#input[start] as string
    if (isBlank(char)) return this.#space(start)
    const type = simple[char]
    if (type !== undefined) return this.#take(type, start, start + 1)
    if (char === ':')
      return this.#input[start + 1] === '=' ? this.#take('declare', start, start + 2) : this.#fail('expected :=', start)
    if (char === '"' || char === '`' || char === "'") return this.#quoted(start, char)
    if (char === '$') return this.#name(start, start + 1, 'variable')
    if (char === '.' && !/\d/.test(this.#input[start + 1] ?? '')) return this.#name(start, start + 1, 'field')
    if (/[.+\-\d]/.test(char)) return this.#number(start)
    if (isNamePoint(point)) return this.#word(start)
    if (char === '(' || char === ')') return this.#paren(start, char)
    if (point < 0x80 && isPrintable(point)) return this.#take('punctuation', start, start + 1)
    return this.#fail(`unrecognized character in action: ${unicodeName(point)}`, start)
  }

  #close(start: number, close: { begin: number; next: number }): Token {
    if (this.#depth > 0) return this.#fail('unclosed left paren', start)
    this.#isInside = false
    const token = this.#take('close', close.begin, close.begin + 2)
    this.#at = close.next
    return token
  }

  #space(start: number): Token {
    blanks.lastIndex = start
    const length = blanks.exec(this.#input)?.[0].length ?? 1
    // The blank before a `-}}` belongs to it.
    const isMarked = length > 1 && this.#input.startsWith('-}}', start + length)
    return this.#take('space', start, start + length - (isMarked ? 1 : 0))
  }

  #paren(start: number, char: '(' | ')'): Token {
    this.#depth += char === '(' ? 1 : -1
    if (this.#depth < 0) return this.#fail('unexpected right paren', start)
    return this.#take(char, start, start + 1)
  }

  #quoted(start: number, mark: string): Token {
    const names = { '"': 'unterminated quoted string', '`': 'unterminated raw quoted string' } as Record<string, string>
    const message = names[mark] ?? 'unterminated character constant'
    for (let at = start + 1; at < this.#input.length; at++) {
      const char = this.#input[at]
      if (char === mark)
        return this.#take(mark === '"' ? 'string' : mark === '`' ? 'raw string' : 'char', start, at + 1)
      if (mark === '`') continue
      if (char === '\\') at++
      if (this.#input[at] === '\n') break
    }
    return this.#fail(message, start)
  }

  #name(start: number, from: number, type: 'variable' | 'field'): Token {
    if (this.#isTerminator(from)) return this.#take(type === 'field' ? 'dot' : type, start, from)
    const end = this.#nameEnd(from)
    if (!this.#isTerminator(end)) return this.#badCharacter(start, end)
    return this.#take(type, start, end)
  }

  #word(start: number): Token {
    const end = this.#nameEnd(start)
    if (!this.#isTerminator(end)) return this.#badCharacter(start, end)
    const word = this.#input.slice(start, end)
    const keyword = keywords.find((one) => one === word)
    const type = keyword ?? (word === 'true' || word === 'false' ? 'bool' : 'identifier')
    return this.#take(type, start, end)
  }

  #badCharacter(start: number, at: number): Token {
    return this.#fail(`bad character ${unicodeName(runeAt(this.#input, at).point)}`, start)
  }

  #nameEnd(from: number): number {
    for (let at = from; ;) {
      const { point, size } = runeAt(this.#input, at)
      if (size === 0 || !isNamePoint(point)) return at
      at += size
    }
  }

  #isTerminator(at: number): boolean {
    const char = this.#input[at]
    return char === undefined || isBlank(char) || '.,|:)('.includes(char) || this.#input.startsWith('}}', at)
  }

  #number(start: number): Token {
    const first = this.#scanNumber(start)
    if (first.isBad) return this.#fail(`bad number syntax: ${quote(this.#input.slice(start, first.end))}`, start)
    const sign = this.#input[first.end]
    if (sign !== '+' && sign !== '-') return this.#take('number', start, first.end)
    const second = this.#scanNumber(first.end)
    const isComplex = !second.isBad && this.#input[second.end - 1] === 'i'
    if (!isComplex) return this.#fail(`bad number syntax: ${quote(this.#input.slice(start, second.end))}`, start)
    return this.#take('complex', start, second.end)
  }

  #scanNumber(start: number): { end: number; isBad: boolean } {
    const pattern =
      /[+-]?(?:0[xX][\da-fA-F_]*(?:\.[\da-fA-F_]*)?(?:[pP][+-]?[\d_]*)?|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?|[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?[\d_]*)?)i?/y
    pattern.lastIndex = start
    const end = start + (pattern.exec(this.#input)?.[0].length ?? 0)
    const { point, size } = runeAt(this.#input, end)
    return isNamePoint(point) ? { end: end + size, isBad: true } : { end, isBad: false }
  }
}
