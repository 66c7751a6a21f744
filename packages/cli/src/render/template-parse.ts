import { UsageError } from '../usage-error.ts'

/** A node of a parsed template. */
export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'range' | 'with'
      readonly pipeline: Pipeline
      readonly body: readonly TemplateNode[]
      readonly otherwise: readonly TemplateNode[]
    }

/** Commands joined by `|`; each is a function or value with its arguments. */
export type Pipeline = readonly (readonly Operand[])[]

export type Operand =
  | { readonly kind: 'field'; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'group'; readonly pipeline: Pipeline }

interface Cursor {
  readonly pieces: readonly Piece[]
  at: number
}

interface Piece {
  readonly isAction: boolean
  readonly text: string
}

/**
 * Parses the part of Go's text/template that `--format` is used with: fields, `range`, `if`, `with`, `else`, pipelines,
 * parentheses, string and number literals, trim markers. Variables and definitions are refused.
 * @throws UsageError
 */
export function parseTemplate(text: string): readonly TemplateNode[] {
  const cursor = { pieces: splitActions(text), at: 0 }
  const { nodes, end } = parseList(cursor)
  if (end !== undefined) throw invalid(`{{${end}}} without a beginning`)
  return nodes
}

function splitActions(text: string): Piece[] {
  const pieces: Piece[] = []
  let rest = text
  let trimNext = false
  while (rest !== '') {
    const open = rest.indexOf('{{')
    let plain = open < 0 ? rest : rest.slice(0, open)
    if (trimNext) plain = plain.trimStart()
    if (open < 0) {
      pieces.push({ isAction: false, text: plain })
      break
    }
    const close = /^\{\{(?:"(?:\\.|[^"\\])*"|`[^`]*`|[^"`])*?\}\}/s.exec(rest.slice(open))
    if (close === null) throw invalid('{{ without }}')
    let action = close[0].slice(2, -2)
    if (action.startsWith('- ')) plain = plain.trimEnd()
    trimNext = action.endsWith(' -')
    action = action.replace(/^- /, '').replace(/ -$/, '').trim()
    pieces.push({ isAction: false, text: plain })
    if (!/^\/\*.*\*\/$/s.test(action)) pieces.push({ isAction: true, text: action })
    rest = rest.slice(open + close[0].length)
  }
  return pieces.filter((piece) => piece.isAction || piece.text !== '')
}

function parseList(cursor: Cursor): { nodes: TemplateNode[]; end: string | undefined } {
  const nodes: TemplateNode[] = []
  while (cursor.at < cursor.pieces.length) {
    const piece = cursor.pieces[cursor.at++] as Piece
    if (!piece.isAction) {
      nodes.push({ kind: 'text', text: piece.text })
      continue
    }
    const keyword = /^[a-z]*/.exec(piece.text)?.[0] ?? ''
    if (keyword === 'end' || keyword === 'else') return { nodes, end: piece.text }
    if (keyword === 'if' || keyword === 'range' || keyword === 'with')
      nodes.push(parseBlock(cursor, keyword, piece.text))
    else nodes.push({ kind: 'value', pipeline: parsePipeline(piece.text) })
  }
  return { nodes, end: undefined }
}

function parseBlock(cursor: Cursor, kind: 'if' | 'range' | 'with', text: string): TemplateNode {
  const pipeline = parsePipeline(text.slice(kind.length))
  const { nodes: body, end } = parseList(cursor)
  if (end === undefined) throw invalid(`{{${kind}}} without {{end}}`)
  if (end === 'end') return { kind, pipeline, body, otherwise: [] }
  const elseIf = /^else\s+(if|with)\b/.exec(end)
  if (elseIf !== null) {
    // The nested block takes the {{end}} of both.
    const nested = parseBlock(cursor, elseIf[1] as 'if' | 'with', end.slice('else'.length).trim())
    return { kind, pipeline, body, otherwise: [nested] }
  }
  const { nodes: otherwise, end: last } = parseList(cursor)
  if (last !== 'end') throw invalid(`{{${kind}}} without {{end}}`)
  return { kind, pipeline, body, otherwise }
}

function parsePipeline(text: string): Pipeline {
  const tokens = tokenize(text)
  const pipeline = readPipeline(tokens, text)
  if (tokens.length > 0) throw invalid(`unexpected "${tokens[0]}" in {{${text.trim()}}}`)
  return pipeline
}

function tokenize(text: string): string[] {
  const tokens = text.match(/"(?:\\.|[^"\\])*"|`[^`]*`|[()|]|[^\s()|"`]+/g) ?? []
  return [...tokens]
}

function readPipeline(tokens: string[], text: string): Pipeline {
  const commands: Operand[][] = [[]]
  while (tokens.length > 0 && tokens[0] !== ')') {
    const token = tokens.shift() as string
    if (token === '|') commands.push([])
    else commands.at(-1)?.push(token === '(' ? readGroup(tokens, text) : operand(token, text))
  }
  if (commands.some((command) => command.length === 0)) throw invalid(`missing value in {{${text.trim()}}}`)
  return commands
}

function readGroup(tokens: string[], text: string): Operand {
  const pipeline = readPipeline(tokens, text)
  if (tokens.shift() !== ')') throw invalid(`unclosed parenthesis in {{${text.trim()}}}`)
  return { kind: 'group', pipeline }
}

function operand(token: string, text: string): Operand {
  if (token.startsWith('"')) return { kind: 'literal', value: JSON.parse(token) as string }
  if (token.startsWith('`')) return { kind: 'literal', value: token.slice(1, -1) }
  if (/^-?\d+(\.\d+)?$/.test(token)) return { kind: 'literal', value: Number(token) }
  if (token === 'true' || token === 'false') return { kind: 'literal', value: token === 'true' }
  if (token.startsWith('.')) return { kind: 'field', path: token.split('.').filter((name) => name !== '') }
  if (/^[a-z]\w*$/i.test(token)) return { kind: 'name', name: token }
  throw invalid(`"${token}" in {{${text.trim()}}} is not supported`)
}

function invalid(reason: string): UsageError {
  return new UsageError(`invalid --format: ${reason}`, {
    hint: "as in --format '{{.ID}}' or --format json",
    exitCode: 64,
  })
}
