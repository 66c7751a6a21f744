import { jsonText } from './terminal-text.ts'
import { UsageError } from '../usage-error.ts'
import { type Operand, parseTemplate, type Pipeline, type TemplateNode } from './template-parse.ts'

/** Fills a Go template with one object, as Docker's `--format` does. @throws UsageError */
export function fillTemplate(text: string, data: unknown): string {
  return fillNodes(parseTemplate(text), data)
}

function fillNodes(nodes: readonly TemplateNode[], dot: unknown): string {
  return nodes.map((node) => fillNode(node, dot)).join('')
}

function fillNode(node: TemplateNode, dot: unknown): string {
  if (node.kind === 'text') return node.text
  const value = evaluate(node.pipeline, dot)
  if (node.kind === 'value') return show(value)
  if (!isTruthy(value)) return fillNodes(node.otherwise, dot)
  if (node.kind === 'range')
    return itemsOf(value)
      .map((item) => fillNodes(node.body, item))
      .join('')
  return fillNodes(node.body, node.kind === 'with' ? value : dot)
}

function evaluate(pipeline: Pipeline, dot: unknown): unknown {
  let value: unknown
  pipeline.forEach((command, index) => {
    const [head, ...rest] = command
    if (head === undefined) return
    const piped = index === 0 ? [] : [value]
    if (head.kind === 'name') value = call(head.name, [...rest.map((one) => valueOf(one, dot)), ...piped])
    else if (rest.length > 0 || piped.length > 0)
      throw new UsageError('invalid --format: a value takes no arguments', { exitCode: 64 })
    else value = valueOf(head, dot)
  })
  return value
}

function valueOf(operand: Operand, dot: unknown): unknown {
  if (operand.kind === 'literal') return operand.value
  if (operand.kind === 'group') return evaluate(operand.pipeline, dot)
  if (operand.kind === 'name') return call(operand.name, [])
  let value = dot
  for (const name of operand.path) {
    const isObject = typeof value === 'object' && value !== null
    // A missing key of a map is empty, a missing member of the top object a mistake: Docker says so, too.
    if (isObject && value === dot && !Object.hasOwn(value as object, name)) {
      throw new UsageError(`invalid --format: there is no field .${name}`, {
        hint: `fields: ${Object.keys(value as object).join(', ')}`,
        exitCode: 64,
      })
    }
    value = isObject && Object.hasOwn(value as object, name) ? (value as Record<string, unknown>)[name] : undefined
  }
  return value
}

type TemplateFunction = (...values: readonly never[]) => unknown

const functions: Readonly<Record<string, TemplateFunction>> = {
  json: (value: unknown) => jsonText(value ?? null),
  join: (list: readonly unknown[] | undefined, separator: string) => (list ?? []).map(show).join(separator),
  lower: (text: unknown) => show(text).toLowerCase(),
  upper: (text: unknown) => show(text).toUpperCase(),
  title: (text: unknown) => show(text).replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase()),
  split: (text: unknown, separator: string) => show(text).split(separator),
  truncate: (text: unknown, length: number) => Array.from(show(text)).slice(0, length).join(''),
  pad: (text: unknown, before: number, after: number) => ' '.repeat(before) + show(text) + ' '.repeat(after),
  len: (value: unknown) => (typeof value === 'string' ? value.length : itemsOf(value).length),
  index: (value: unknown, ...keys: readonly (string | number)[]) => keys.reduce(indexOne, value),
  println: (...values: readonly unknown[]) => `${values.map(show).join(' ')}\n`,
  print: (...values: readonly unknown[]) => values.map(show).join(''),
  printf: (pattern: string, ...values: readonly unknown[]) => printf(pattern, values),
  eq: (a: unknown, ...others: readonly unknown[]) => others.includes(a),
  ne: (a: unknown, b: unknown) => a !== b,
  lt: (a: number, b: number) => a < b,
  gt: (a: number, b: number) => a > b,
  not: (value: unknown) => !isTruthy(value),
  and: (...values: readonly unknown[]) => values.find((value) => !isTruthy(value)) ?? values.at(-1),
  or: (...values: readonly unknown[]) => values.find(isTruthy) ?? values.at(-1),
}

function call(name: string, values: readonly unknown[]): unknown {
  const found = Object.hasOwn(functions, name) ? functions[name] : undefined
  if (found !== undefined) return found(...(values as readonly never[]))
  throw new UsageError(`invalid --format: unknown function "${name}"`, {
    hint: `functions: ${Object.keys(functions).join(', ')}`,
    exitCode: 64,
  })
}

function indexOne(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string | number, unknown>)[key]
    : undefined
}

/** `%s`, `%v`, `%d`, `%q` and their widths. */
function printf(pattern: string, values: readonly unknown[]): string {
  const rest = [...values]
  return pattern.replaceAll(/%(-?)(\d*)([svdq%])/g, (_, left: string, width: string, verb: string) => {
    if (verb === '%') return '%'
    const text = verb === 'q' ? JSON.stringify(show(rest.shift())) : show(rest.shift())
    return left === '-' ? text.padEnd(Number(width)) : text.padStart(Number(width))
  })
}

/** Values as Go prints them: lists in brackets, maps as `map[k:v]`. */
function show(value: unknown): string {
  if (value === undefined || value === null) return '<no value>'
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`
  if (typeof value !== 'object') return `${value as string | number | boolean}`
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `map[${members.map(([key, member]) => `${key}:${show(member)}`).join(' ')}]`
}

function itemsOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value
  return typeof value === 'object' && value !== null ? Object.values(value) : []
}

function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}
