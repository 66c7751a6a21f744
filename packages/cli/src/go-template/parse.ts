import type { Branch, Command, Node, Operand, Pipe, Templates } from './ast.ts'
import { showNode } from './ast.ts'
import { fromBytes } from './bytes.ts'
import { CallError, TemplateError } from './errors.ts'
import { keywords, Lexer, type Token, type TokenType } from './lex.ts'
import { readCharacter, readNumber } from './number.ts'
import { quote, quoteShort, unquote } from './quote.ts'

/** A parenthesis or block within another: a deeper one would exhaust the stack. Go stops at 10,000. */
const deepest = 500

interface End {
  readonly kind: 'end' | 'else'
  readonly at: number
}

const operandTypes: readonly TokenType[] = [
  'bool',
  'char',
  'complex',
  'dot',
  'field',
  'identifier',
  'number',
  'nil',
  'raw string',
  'string',
  'variable',
  '(',
]

/** What is known of the template that is being read: a definition within another begins anew. */
interface Scope {
  variables: string[]
  ranges: number
}

/**
 * Parses a byte string as Go's text/template does, but for complex numbers.
 * @param isFunction whether there is a function of that name
 * @throws TemplateError with Go's message
 */
export function parseTemplate(text: string, isFunction: (name: string) => boolean): Templates {
  return new Parser(text, isFunction).parse()
}

class Parser {
  readonly #lexer: Lexer
  readonly #isFunction: (name: string) => boolean
  readonly #templates = new Map<string, readonly Node[]>()
  /** Tokens that were read and given back, the next one last. */
  readonly #pending: Token[] = []
  #line = 1
  #actionLine = 0
  #depth = 0
  #scope: Scope = { variables: ['$'], ranges: 0 }

  constructor(text: string, isFunction: (name: string) => boolean) {
    this.#lexer = new Lexer(text)
    this.#isFunction = isFunction
  }

  parse(): Templates {
    const nodes: Node[] = []
    while (this.#peek().type !== 'EOF') {
      if (this.#peek().type === 'open') {
        const open = this.#next()
        const first = this.#nextWord()
        if (first.type === 'define') {
          this.#definition()
          continue
        }
        this.#pending.push(first, open)
      }
      const node = this.#textOrAction()
      if (isEnd(node)) this.#fail(`unexpected {{${node.kind}}}`)
      else nodes.push(node)
    }
    this.#add('', nodes)
    return this.#templates
  }

  #definition(): void {
    const context = 'define clause'
    const name = this.#nextWord()
    if (name.type !== 'string' && name.type !== 'raw string') this.#unexpected(name, context)
    const text = this.#literal(() => unquote(name.text))
    this.#expect('close', context)
    this.#add(text, this.#apart(context))
  }

  /** The body of a template of its own, up to its end. */
  #apart(context: string): readonly Node[] {
    const [outer, actionLine, line] = [this.#scope, this.#actionLine, this.#line]
    this.#scope = { variables: ['$'], ranges: 0 }
    this.#actionLine = 0
    const { nodes, end } = this.#list()
    if (end.kind !== 'end') {
      // A block is closed by the template around it, which has read no further than its beginning.
      if (context === 'block clause') this.#line = line
      this.#fail(`unexpected {{${end.kind}}} in ${context}`)
    }
    this.#scope = outer
    this.#actionLine = actionLine
    return nodes
  }

  #add(name: string, nodes: readonly Node[]): void {
    const known = this.#templates.get(name)
    if (known === undefined || isEmpty(known)) this.#templates.set(name, nodes)
    else if (!isEmpty(nodes)) this.#fail(`template: multiple definition of template ${quote(name)}`)
  }

  #list(): { nodes: Node[]; end: End } {
    const nodes: Node[] = []
    while (this.#peekWord().type !== 'EOF') {
      const node = this.#textOrAction()
      if (isEnd(node)) return { nodes, end: node }
      nodes.push(node)
    }
    return this.#fail('unexpected EOF')
  }

  #textOrAction(): Node | End {
    const token = this.#nextWord()
    if (token.type === 'text') return { kind: 'text', at: token.at, text: token.text }
    if (token.type !== 'open') return this.#unexpected(token, 'input')
    this.#actionLine = token.line
    const node = this.#deeper(() => this.#action())
    this.#actionLine = 0
    return node
  }

  #deeper<Result>(read: () => Result): Result {
    if (this.#depth >= deepest) this.#fail('max expression depth exceeded')
    this.#depth++
    const result = read()
    this.#depth--
    return result
  }

  #action(): Node | End {
    const token = this.#nextWord()
    switch (token.type) {
      case 'if':
      case 'with':
      case 'range':
        return this.#branch(token.type)
      case 'end':
        return { kind: 'end', at: this.#expect('close', 'end').at }
      case 'else': {
        const after = this.#peekWord()
        if (after.type === 'if' || after.type === 'with') return { kind: 'else', at: after.at }
        return { kind: 'else', at: this.#expect('close', 'else').at }
      }
      case 'break':
      case 'continue': {
        const close = this.#nextWord()
        if (close.type !== 'close') this.#unexpected(close, `{{${token.type}}}`)
        if (this.#scope.ranges === 0) this.#fail(`{{${token.type}}} outside {{range}}`)
        return { kind: token.type, at: token.at }
      }
      case 'template':
        return this.#templateCall()
      case 'block':
        return this.#block()
      default:
        this.#pending.push(token)
        return { kind: 'action', at: this.#peek().at, pipe: this.#pipe('command', 'close') }
    }
  }

  #branch(kind: Branch['kind']): Branch {
    const known = this.#scope.variables.length
    const pipe = this.#pipe(kind, 'close')
    if (kind === 'range') this.#scope.ranges++
    const { nodes: body, end } = this.#list()
    if (kind === 'range') this.#scope.ranges--
    const otherwise = end.kind === 'else' ? this.#otherwise(kind) : undefined
    this.#scope.variables.length = known
    return { kind, at: pipe.at, pipe, body, otherwise }
  }

  #otherwise(kind: Branch['kind']): readonly Node[] {
    // `else if` nests, and the one end is of both.
    if (kind !== 'range' && this.#peek().type === kind) {
      this.#next()
      return [this.#deeper(() => this.#branch(kind))]
    }
    const { nodes, end: last } = this.#list()
    if (last.kind !== 'end') this.#fail(`expected end; found {{${last.kind}}}`)
    return nodes
  }

  #templateName(token: Token, context: string): string {
    if (token.type !== 'string' && token.type !== 'raw string') this.#unexpected(token, context)
    return this.#literal(() => unquote(token.text))
  }

  #templateCall(): Node {
    const context = 'template clause'
    const token = this.#nextWord()
    const name = this.#templateName(token, context)
    const after = this.#nextWord()
    if (after.type === 'close') return { kind: 'template', at: token.at, name, pipe: undefined }
    this.#pending.push(after)
    return { kind: 'template', at: token.at, name, pipe: this.#pipe(context, 'close') }
  }

  #block(): Node {
    const context = 'block clause'
    const token = this.#nextWord()
    const name = this.#templateName(token, context)
    const pipe = this.#pipe(context, 'close')
    this.#add(name, this.#apart(context))
    return { kind: 'template', at: token.at, name, pipe }
  }

  #pipe(context: string, end: 'close' | ')'): Pipe {
    const { at } = this.#peekWord()
    const { variables, assigns } = this.#declarations(context)
    const commands: Command[] = []
    for (;;) {
      const token = this.#nextWord()
      if (token.type === end) break
      if (!operandTypes.includes(token.type)) this.#unexpected(token, context)
      this.#pending.push(token)
      commands.push(this.#command())
    }
    if (commands.length === 0) this.#fail(`missing value for ${context}`)
    commands.forEach((command, index) => {
      if (index > 0 && ['bool', 'dot', 'nil', 'number', 'string'].includes(command.args[0]?.kind ?? ''))
        this.#fail(`non executable command in pipeline stage ${index + 1}`)
    })
    return { kind: 'pipe', at, variables, assigns, commands }
  }

  #declarations(context: string): { variables: string[]; assigns: boolean } {
    const variables: string[] = []
    for (;;) {
      const variable = this.#peekWord()
      if (variable.type !== 'variable') return { variables, assigns: false }
      this.#next()
      const behind = this.#peek()
      const next = this.#peekWord()
      if (next.type === 'assign' || next.type === 'declare') {
        this.#nextWord()
        variables.push(this.#declare(variable.text))
        return { variables, assigns: next.type === 'assign' }
      }
      if (next.type !== 'punctuation' || next.text !== ',') {
        if (behind.type === 'space') this.#pending.push(behind)
        this.#pending.push(variable)
        return { variables, assigns: false }
      }
      this.#nextWord()
      variables.push(this.#declare(variable.text))
      if (context !== 'range' || variables.length >= 2) this.#fail(`too many declarations in ${context}`)
      if (!['variable', 'close', ')'].includes(this.#peekWord().type)) this.#fail('range can only initialize variables')
    }
  }

  #declare(name: string): string {
    this.#scope.variables.push(name)
    return name
  }

  #command(): Command {
    const { at } = this.#peekWord()
    const args: Operand[] = []
    for (;;) {
      this.#peekWord()
      const operand = this.#operand()
      if (operand !== undefined) args.push(operand)
      const token = this.#next()
      if (token.type === 'space') continue
      if (token.type === 'close' || token.type === ')') this.#pending.push(token)
      else if (token.type !== 'pipe') this.#unexpected(token, 'operand')
      break
    }
    if (args.length === 0) this.#fail('empty command')
    return { at, args }
  }

  #operand(): Operand | undefined {
    const base = this.#term()
    if (base === undefined || this.#peek().type !== 'field') return base
    const { at } = this.#peek()
    const path: string[] = []
    while (this.#peek().type === 'field') path.push(this.#next().text.slice(1))
    if (base.kind === 'field' || base.kind === 'variable') return { ...base, at, path: [...base.path, ...path] }
    if (['bool', 'string', 'number', 'nil', 'dot'].includes(base.kind))
      this.#fail(`unexpected . after term ${quote(showNode(base))}`)
    return { kind: 'chain', at, base, path }
  }

  #term(): Operand | undefined {
    const { type, text, at } = this.#nextWord()
    switch (type) {
      case 'identifier':
        if (!this.#isFunction(text)) this.#fail(`function ${quote(text)} not defined`)
        return { kind: 'function', at, name: text }
      case 'dot':
      case 'nil':
        return { kind: type, at }
      case 'variable':
        if (!this.#scope.variables.includes(text)) this.#fail(`undefined variable ${quote(text)}`)
        return { kind: 'variable', at, path: [text] }
      case 'field':
        return { kind: 'field', at, path: [text.slice(1)] }
      case 'bool':
        return { kind: 'bool', at, value: text === 'true' }
      case 'char':
        return { kind: 'number', at, literal: this.#literal(() => readCharacter(text)) }
      case 'complex':
      case 'number':
        return { kind: 'number', at, literal: this.#literal(() => readNumber(text)) }
      case '(':
        return this.#deeper(() => this.#pipe('parenthesized pipeline', ')'))
      case 'string':
      case 'raw string':
        return { kind: 'string', at, value: this.#literal(() => unquote(text)), text }
      default:
        this.#pending.push({ type, text, at, line: this.#line })
        return undefined
    }
  }

  #literal<Value>(read: () => Value): Value {
    try {
      return read()
    } catch (error) {
      if (error instanceof CallError) return this.#fail(error.message)
      throw error
    }
  }

  #next(): Token {
    const token = this.#pending.pop()
    if (token !== undefined) return token
    const read = this.#lexer.next()
    this.#line = read.line
    return read
  }

  #peek(): Token {
    const token = this.#next()
    this.#pending.push(token)
    return token
  }

  #nextWord(): Token {
    for (;;) {
      const token = this.#next()
      if (token.type !== 'space') return token
    }
  }

  #peekWord(): Token {
    const token = this.#nextWord()
    this.#pending.push(token)
    return token
  }

  #expect(type: TokenType, context: string): Token {
    const token = this.#nextWord()
    return token.type === type ? token : this.#unexpected(token, context)
  }

  #unexpected(token: Token, context: string): never {
    if (token.type !== 'error') return this.#fail(`unexpected ${showToken(token)} in ${context}`)
    const isFar = this.#actionLine !== 0 && this.#actionLine !== token.line
    const started = ` started at :${this.#actionLine}`
    // Not "action in action".
    return this.#fail(token.text + (isFar ? (token.text.endsWith(' action') ? started : ` in action${started}`) : ''))
  }

  #fail(message: string): never {
    throw new TemplateError('parse', fromBytes(`template: :${this.#line}: ${message}`))
  }
}

function isEnd(node: Node | End): node is End {
  return node.kind === 'end' || node.kind === 'else'
}

function showToken({ type, text }: Token): string {
  if (type === 'EOF') return 'EOF'
  if (type === 'dot' || keywords.some((one) => one === type)) return `<${text}>`
  return text.length > 10 ? `${quoteShort(text, 10)}...` : quote(text)
}

/** Nothing but blanks and definitions: another definition of the name may take its place. */
function isEmpty(nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.kind === 'text' && /^\s*$/.test(node.text))
}
