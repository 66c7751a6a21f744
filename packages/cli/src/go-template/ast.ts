import { quote } from './quote.ts'

/** A node with the byte of the template at which it is said to be. */
interface At {
  readonly at: number
}

/** A number, or a character between `'`, in each form that it has. */
export interface NumberLiteral {
  readonly text: string
  readonly int: bigint | undefined
  readonly uint: bigint | undefined
  readonly float: number | undefined
}

export type Operand = At &
  (
    | { readonly kind: 'field' | 'variable'; readonly path: readonly string[] }
    | { readonly kind: 'chain'; readonly base: Operand; readonly path: readonly string[] }
    | { readonly kind: 'function'; readonly name: string }
    | { readonly kind: 'dot' | 'nil' }
    | { readonly kind: 'bool'; readonly value: boolean }
    | { readonly kind: 'number'; readonly literal: NumberLiteral }
    | { readonly kind: 'string'; readonly value: string; readonly text: string }
    | (Pipe & { readonly kind: 'pipe' })
  )

export interface Command extends At {
  readonly args: readonly Operand[]
}

export interface Pipe extends At {
  readonly kind: 'pipe'
  readonly variables: readonly string[]
  /** `=` and not `:=`. */
  readonly assigns: boolean
  readonly commands: readonly Command[]
}

export interface Branch extends At {
  readonly kind: 'if' | 'with' | 'range'
  readonly pipe: Pipe
  readonly body: readonly Node[]
  readonly otherwise: readonly Node[] | undefined
}

export type Node = At &
  (
    | { readonly kind: 'text'; readonly text: string }
    | { readonly kind: 'action'; readonly pipe: Pipe }
    | { readonly kind: 'break' | 'continue' }
    | { readonly kind: 'template'; readonly name: string; readonly pipe: Pipe | undefined }
    | Branch
  )

/** The bodies by name; the template itself has the empty one. */
export type Templates = ReadonlyMap<string, readonly Node[]>

/** A node as messages show it. */
export function showNode(node: Node | Operand | Command): string {
  if ('args' in node) return node.args.map(showArgument).join(' ')
  switch (node.kind) {
    case 'field':
      return node.path.map((name) => `.${name}`).join('')
    case 'variable':
      return node.path.join('.')
    case 'chain':
      return `${showArgument(node.base)}${node.path.map((name) => `.${name}`).join('')}`
    case 'function':
      return node.name
    case 'dot':
      return '.'
    case 'bool':
      return String(node.value)
    case 'number':
      return node.literal.text
    case 'string':
      return node.text
    case 'pipe':
      return showPipe(node)
    case 'text':
      return node.text
    case 'action':
      return `{{${showPipe(node.pipe)}}}`
    case 'template':
      return `{{template ${quote(node.name)}${node.pipe === undefined ? '' : ` ${showPipe(node.pipe)}`}}}`
    case 'nil':
      return 'nil'
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`
    case 'if':
    case 'with':
    case 'range':
      return showBranch(node)
  }
}

function showArgument(operand: Operand): string {
  return operand.kind === 'pipe' ? `(${showPipe(operand)})` : showNode(operand)
}

function showPipe({ variables, assigns, commands }: Pipe): string {
  const declared = variables.length === 0 ? '' : `${variables.join(', ')} ${assigns ? '=' : ':='} `
  return declared + commands.map(showNode).join(' | ')
}

function showBranch({ kind, pipe, body, otherwise }: Branch): string {
  const rest = otherwise === undefined ? '' : `{{else}}${otherwise.map(showNode).join('')}`
  return `{{${kind} ${showPipe(pipe)}}}${body.map(showNode).join('')}${rest}{{end}}`
}
