import type { Branch, Node, Templates } from './ast.ts'
import { Evaluator, type Run } from './evaluate.ts'
import { TemplateError } from './errors.ts'
import { type Functions, longestText } from './functions.ts'
import { quote } from './quote.ts'
import { showValue } from './print-value.ts'
import {
  elementAt,
  entryOf,
  GoValue,
  indirect,
  isInt,
  isTrue,
  isUint,
  keysOf,
  lengthOf,
  type Maybe,
  ofInt,
  ofString,
} from './values.ts'
import { toBytes } from './bytes.ts'

/** So deep may templates call templates. Go allows 100,000, for which there is no stack here. */
const deepestCall = 1000

/** What a template writes, in pieces. */
interface Output {
  readonly pieces: string[]
  length: number
}

interface Place {
  readonly evaluator: Evaluator
  readonly output: Output
  readonly depth: number
}

type Leaves = 'break' | 'continue' | undefined

/**
 * Runs a parsed template on a value.
 * @param text of the template, for messages
 * @returns what it writes, a byte string
 * @throws TemplateError with Go's message
 */
export function execute(
  text: string,
  templates: Templates,
  dot: Maybe,
  { functions, strictKeys }: { functions: Functions; strictKeys: boolean },
): string {
  const run: Run = { text, templates, functions, strictKeys, steps: 0 }
  const output: Output = { pieces: [], length: 0 }
  try {
    walkAll({ evaluator: new Evaluator(run, '', dot), output, depth: 0 }, templates.get('') ?? [], dot)
  } catch (error) {
    // What is nested as deep as its parser allows, in data nested as deep, may still be too deep.
    if (error instanceof RangeError) throw new TemplateError('limit', 'template: : nested too deep')
    throw error
  }
  return output.pieces.join('')
}

function walkAll(place: Place, nodes: readonly Node[], dot: Maybe): Leaves {
  for (const node of nodes) {
    const leaves = walk(place, node, dot)
    if (leaves !== undefined) return leaves
  }
  return undefined
}

function walk(place: Place, node: Node, dot: Maybe): Leaves {
  const { evaluator } = place
  evaluator.enter(node)
  switch (node.kind) {
    case 'text':
      write(place, node.text)
      return undefined
    case 'action': {
      const value = evaluator.pipe(dot, node.pipe)
      if (node.pipe.variables.length > 0) return undefined
      evaluator.enter(node)
      write(place, shown(value))
      return undefined
    }
    case 'if':
    case 'with':
      return walkIf(place, node, dot)
    case 'range':
      return walkRange(place, node, dot)
    case 'template':
      walkTemplate(place, node, dot)
      return undefined
    default:
      return node.kind
  }
}

function write(place: Place, text: string): void {
  place.output.pieces.push(text)
  place.output.length += text.length
  if (place.output.length > longestText) place.evaluator.fail(`writes more than ${longestText} bytes`, 'limit')
}

function shown(given: Maybe): string {
  const value = given?.type.kind === 'pointer' ? indirect(given).value : given
  return value === undefined ? '<no value>' : showValue(value)
}

function walkIf(place: Place, node: Branch, dot: Maybe): Leaves {
  const mark = place.evaluator.mark
  const value = place.evaluator.pipe(dot, node.pipe)
  const leaves = isTrue(value)
    ? walkAll(place, node.body, node.kind === 'with' ? value : dot)
    : walkAll(place, node.otherwise ?? [], dot)
  place.evaluator.forget(mark)
  return leaves
}

function walkRange(place: Place, node: Branch, dot: Maybe): Leaves {
  const { evaluator } = place
  const mark = evaluator.mark
  const { value } = indirect(evaluator.pipe(dot, node.pipe))
  let isEmpty = true
  let leaves: Leaves
  for (const item of itemsOf(place, node, value)) {
    isEmpty = false
    evaluator.count()
    leaves = walkItem(place, node, item)
    if (leaves === 'break') break
  }
  if (isEmpty) leaves = walkAll(place, node.otherwise ?? [], dot)
  evaluator.forget(mark)
  // What stands after else belongs to the range around it.
  return isEmpty ? leaves : undefined
}

interface Item {
  readonly key: Maybe
  readonly value: Maybe
}

function walkItem({ evaluator, ...place }: Place, { pipe, body }: Branch, { key, value }: Item): Leaves {
  const mark = evaluator.mark
  const [first, second] = pipe.variables
  const set = (name: string, to: Maybe) => (pipe.assigns ? evaluator.assign(name, to) : evaluator.declare(name, to))
  if (first !== undefined) set(first, second === undefined ? value : key)
  if (second !== undefined) set(second, value)
  const leaves = walkAll({ evaluator, ...place }, body, value)
  evaluator.forget(mark)
  return leaves
}

function* itemsOf({ evaluator }: Place, node: Branch, value: Maybe): Generator<Item> {
  if (value === undefined) return
  if (isInt(value) || isUint(value)) {
    if (node.pipe.variables.length > 1)
      evaluator.fail(`can't use ${showValue(value)} to iterate over more than one variable`)
    for (let at = 0n; at < (value.value as bigint); at++) yield { key: undefined, value: new GoValue(value.type, at) }
    return
  }
  if (value.type.kind === 'slice') {
    for (let at = 0; at < lengthOf(value); at++) yield { key: ofInt(at), value: elementAt(value, at) }
    return
  }
  if (value.type.kind === 'map') {
    for (const key of keysOf(value)) yield { key: ofString(toBytes(key)), value: entryOf(value, key) }
    return
  }
  evaluator.fail(`range can't iterate over ${showValue(value)}`)
}

function walkTemplate(place: Place, node: Extract<Node, { kind: 'template' }>, dot: Maybe): void {
  const { evaluator, output, depth } = place
  const body = evaluator.run.templates.get(node.name)
  if (body === undefined) evaluator.fail(`template ${quote(node.name)} not defined`)
  if (depth === deepestCall) evaluator.fail(`exceeded maximum template depth (${deepestCall})`, 'limit')
  const inner = node.pipe === undefined ? undefined : evaluator.pipe(dot, node.pipe)
  walkAll({ evaluator: new Evaluator(evaluator.run, node.name, inner), output, depth: depth + 1 }, body ?? [], inner)
}
