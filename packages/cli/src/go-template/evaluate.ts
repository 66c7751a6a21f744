import { type Command, type Node, type Operand, type Pipe, showNode, type Templates } from './ast.ts'
import { CallError, TemplateError } from './errors.ts'
import { type Functions, type GoFunction, longestText, type Parameter, parameterNames } from './functions.ts'
import { quote } from './quote.ts'
import {
  elementOf,
  entryOf,
  fieldOf,
  GoValue,
  indirect,
  inside,
  isTrue,
  type Maybe,
  ofBool,
  ofInt,
  ofString,
  readMember,
} from './values.ts'
import { fromBytes, toBytes } from './bytes.ts'
import { float64Type } from './types.ts'

/** No value at all came through the pipe, which is not the same as a missing one. */
const nothing = Symbol('nothing')
type Piped = Maybe | typeof nothing

/** So many nodes may be evaluated: a range over a large number, or templates that call each other, end with an error. */
const mostSteps = 2_000_000

/** The call of a function: what is named when it fails, its arguments, and what came through the pipe. */
interface Given {
  readonly node: Operand | Command
  readonly args: readonly Operand[]
  readonly piped: Piped
}

interface Variable {
  readonly name: string
  value: Maybe
}

/** What a run of a template shares; `at` is where it is, for messages. */
export interface Run {
  /** As byte string. */
  readonly text: string
  readonly templates: Templates
  readonly functions: Functions
  /** A key that a map does not have is an error, not `<no value>`. */
  readonly strictKeys: boolean
  steps: number
}

/** One template of a run, with its variables. */
export class Evaluator {
  readonly run: Run
  readonly name: string
  readonly #variables: Variable[]
  #at: Node | Operand | Command | undefined

  constructor(run: Run, name: string, dot: Maybe) {
    this.run = run
    this.name = name
    this.#variables = [{ name: '$', value: dot }]
  }

  get mark(): number {
    return this.#variables.length
  }

  /** Forgets the variables that were declared since. */
  forget(mark: number): void {
    this.#variables.length = mark
  }

  declare(name: string, value: Maybe): void {
    this.#variables.push({ name, value })
  }

  assign(name: string, value: Maybe): void {
    const variable = this.#variables.findLast((one) => one.name === name)
    if (variable === undefined) this.fail(`undefined variable: ${name}`)
    else variable.value = value
  }

  /** Names the place where it is. */
  enter(node: Node | Operand | Command): void {
    this.#at = node
    this.count()
  }

  /** A step more, also of a loop with nothing in it. */
  count(): void {
    if (++this.run.steps > mostSteps) this.fail(`evaluates more than ${mostSteps} nodes`, 'limit')
  }

  fail(message: string, stage: 'execute' | 'limit' = 'execute'): never {
    const node = this.#at as Node
    const before = this.run.text.slice(0, node.at)
    const line = before.split('\n').length
    const column = node.at - (before.lastIndexOf('\n') + 1)
    throw new TemplateError(
      stage,
      fromBytes(`template: :${line}:${column}: executing ${quote(this.name)} at <${showNode(node)}>: ${message}`),
    )
  }

  /** The value of a pipeline; its variables get it, but for those of a range. */
  pipe(dot: Maybe, pipe: Pipe): Maybe {
    this.enter(pipe)
    let value: Piped = nothing
    for (const command of pipe.commands) {
      value = this.#command(dot, command, value)
      if (value?.type.kind === 'interface') value = elementOf(value)
    }
    const result = value === nothing ? undefined : value
    for (const name of pipe.variables) {
      if (pipe.assigns) this.assign(name, result)
      else this.declare(name, result)
    }
    return result
  }

  #command(dot: Maybe, command: Command, piped: Piped): Maybe {
    const { args } = command
    const first = args[0] as Operand
    const rest = args.slice(1)
    switch (first.kind) {
      case 'field':
        this.enter(first)
        return this.#path(dot, first.path, { dot, args: rest, piped })
      case 'chain':
        this.enter(first)
        if (first.base.kind === 'nil') this.fail(`indirection through explicit nil in ${showNode(first)}`)
        return this.#path(this.#base(dot, first.base), first.path, { dot, args: rest, piped })
      case 'function':
        this.enter(first)
        return this.#function(dot, first, { node: command, args: rest, piped })
      case 'pipe':
        this.#refuseArguments(first, rest, piped)
        return this.pipe(dot, first)
      case 'variable':
        return this.#variable(dot, first, rest, piped)
      default:
        this.enter(first)
        this.#refuseArguments(first, rest, piped)
        if (first.kind === 'nil') this.fail('nil is not a command')
        return this.#plain(dot, first)
    }
  }

  #refuseArguments(first: Operand, rest: readonly Operand[], piped: Piped): void {
    if (rest.length > 0 || piped !== nothing) this.fail(`can't give argument to non-function ${showNode(first)}`)
  }

  #variable(dot: Maybe, node: Operand, rest: readonly Operand[], piped: Piped): Maybe {
    this.enter(node)
    const [name, ...path] = (node as { path: readonly string[] }).path
    const variable = this.#variables.findLast((one) => one.name === name)
    if (variable === undefined) return this.fail(`undefined variable: ${name}`)
    if (path.length > 0) return this.#path(variable.value, path, { dot, args: rest, piped })
    this.#refuseArguments(node, rest, piped)
    return variable.value
  }

  /** What a chain of fields begins with. */
  #base(dot: Maybe, base: Operand): Maybe {
    this.enter(base)
    return base.kind === 'pipe' ? this.pipe(dot, base) : this.#operand(dot, base)
  }

  #plain(dot: Maybe, operand: Operand): Maybe {
    if (operand.kind === 'dot') return dot
    if (operand.kind === 'bool') return ofBool(operand.value)
    if (operand.kind === 'string') return ofString(operand.value)
    if (operand.kind !== 'number') return this.fail(`can't handle ${showNode(operand)}`)
    const { text, int, float } = operand.literal
    const isFloat = /[.eEpP]/.test(text) && !text.startsWith("'") && !/^0[xX][^pP]*$/.test(text)
    if (isFloat && float !== undefined) return new GoValue(float64Type, float)
    return int === undefined ? this.fail(`${text} overflows int`) : ofInt(int)
  }

  /** An operand as an argument that may be anything. */
  #operand(dot: Maybe, operand: Operand): Maybe {
    switch (operand.kind) {
      case 'field':
        this.enter(operand)
        return this.#path(dot, operand.path, { dot, args: [], piped: nothing })
      case 'variable':
        return this.#variable(dot, operand, [], nothing)
      case 'pipe':
        return this.pipe(dot, operand)
      case 'function':
        this.enter(operand)
        return this.#function(dot, operand, { node: operand, args: [], piped: nothing })
      case 'chain':
        return this.#command(dot, { at: operand.at, args: [operand] }, nothing)
      default:
        this.enter(operand)
        return this.#plain(dot, operand)
    }
  }

  #path(receiver: Maybe, path: readonly string[], last: { dot: Maybe; args: readonly Operand[]; piped: Piped }): Maybe {
    let value = receiver
    path.forEach((name, index) => {
      const isLast = index === path.length - 1
      value = this.#field(value, name, isLast && (last.args.length > 0 || last.piped !== nothing) ? last : undefined)
    })
    return value
  }

  #field(
    receiver: Maybe,
    name: string,
    given: { dot: Maybe; args: readonly Operand[]; piped: Piped } | undefined,
  ): Maybe {
    if (receiver === undefined)
      return this.run.strictKeys ? this.fail(`nil data; no entry for key ${quote(name)}`) : undefined
    const typeName = toBytes(receiver.type.name)
    const { value, isNil } = indirect(receiver)
    if (value === undefined) return undefined
    if (isNil && value.type.kind === 'interface') this.fail(`nil pointer evaluating ${typeName}.${name}`)
    const method =
      'methods' in value.type && Object.hasOwn(value.type.methods ?? {}, name) ? value.type.methods?.[name] : undefined
    if (method !== undefined) {
      this.#refuseMethodArguments(name, given)
      const result = (method as (one: unknown) => { type: GoValue['type']; value: unknown })(value.value)
      return new GoValue(result.type, result.value)
    }
    if (isNil) return this.#fieldOfNil(value, typeName, name)
    if (value.type.kind === 'struct') {
      const found = fieldOf(value, name)
      if (found !== undefined) {
        if (value.type.isRow) this.#refuseMethodArguments(name, given)
        else if (given !== undefined) this.fail(`${name} has arguments but cannot be invoked as function`)
        return found
      }
    }
    if (value.type.kind === 'map') {
      if (given !== undefined) this.fail(`${name} is not a method but has arguments`)
      const found = entryOf(value, fromBytes(name))
      if (found === undefined && this.run.strictKeys) this.fail(`map has no entry for key ${quote(name)}`)
      return found
    }
    return this.fail(`can't evaluate field ${name} in type ${typeName}`)
  }

  #fieldOfNil(value: GoValue, typeName: string, name: string): never {
    const element = value.type.kind === 'pointer' ? value.type.element : undefined
    const isKnown = element?.kind !== 'struct' || fieldOf(readMember(element, {}), name) !== undefined
    return this.fail(
      isKnown ? `nil pointer evaluating ${typeName}.${name}` : `can't evaluate field ${name} in type ${typeName}`,
    )
  }

  #refuseMethodArguments(name: string, given: { args: readonly Operand[]; piped: Piped } | undefined): void {
    if (given === undefined) return
    const count = given.args.length + (given.piped === nothing ? 0 : 1)
    this.fail(`wrong number of args for ${name}: want 0 got ${count}`)
  }

  #function(dot: Maybe, { name }: { name: string }, given: Given): Maybe {
    const { args, piped } = given
    if (name === 'and' || name === 'or') return this.#shortcut(dot, name, args, piped)
    const fun = this.run.functions[name]
    if (fun === undefined) return this.fail(`${quote(name)} is not a defined function`)
    const { parameters, rest } = fun
    const count = args.length + (piped === nothing ? 0 : 1)
    if (rest === undefined && count !== parameters.length)
      this.fail(`wrong number of args for ${name}: want ${parameters.length} got ${count}`)
    if (count < parameters.length)
      this.fail(`wrong number of args for ${name}: want at least ${parameters.length} got ${args.length}`)
    const parameter = (index: number): Parameter => parameters[index] ?? (rest as Parameter)
    const values = args.map((arg, index) => this.#argument(dot, arg, parameter(index)))
    if (piped !== nothing) values.push(this.#fit(piped, parameter(args.length)))
    const result = this.#call(name, fun, values, given)
    if (typeof result?.value === 'string' && result.value.length > longestText)
      this.fail(`error calling ${name}: makes a text longer than ${longestText} bytes`, 'limit')
    return result
  }

  #call(name: string, fun: GoFunction, values: readonly Maybe[], { node, args }: Given): Maybe {
    try {
      return fun.call(values)
    } catch (error) {
      if (!(error instanceof CallError)) throw error
      this.enter(node)
      const message = error.message.replace(/^non-function/, (word) => `${word} ${calleeName(args[0], values[0])}`)
      return this.fail(`error calling ${name}: ${message}`)
    }
  }

  /** `and` and `or` stop at the first argument that decides. */
  #shortcut(dot: Maybe, name: 'and' | 'or', args: readonly Operand[], piped: Piped): Maybe {
    if (args.length === 0 && piped === nothing) this.fail(`wrong number of args for ${name}: want at least 1 got 0`)
    let value: Maybe
    for (const arg of args) {
      value = this.#argument(dot, arg, 'value')
      if (isTrue(value) === (name === 'or')) return value
    }
    return piped === nothing ? value : piped
  }

  #argument(dot: Maybe, operand: Operand, parameter: Parameter): Maybe {
    this.enter(operand)
    if (operand.kind === 'nil') {
      if (parameter === 'string' || parameter === 'int') this.fail(`cannot assign nil to ${parameter}`)
      return undefined
    }
    const isLiteral = operand.kind === 'bool' || operand.kind === 'string' || operand.kind === 'number'
    if (isLiteral && parameter === 'string' && operand.kind !== 'string')
      this.fail(`expected string; found ${showNode(operand)}`)
    if (isLiteral && parameter === 'int') {
      const whole = operand.kind === 'number' ? operand.literal.int : undefined
      return whole === undefined ? this.fail(`expected integer; found ${showNode(operand)}`) : ofInt(whole)
    }
    return this.#fit(this.#operand(dot, operand), parameter)
  }

  /** A value as a parameter takes it: Go converts nothing, but looks into interfaces and pointers. */
  #fit(given: Maybe, parameter: Parameter): Maybe {
    if (parameter === 'value' || parameter === 'any') return given
    if (given === undefined) return this.fail(`invalid value; expected ${parameter}`)
    if (given.type.name === parameter) return given
    const value = inside(given)
    if (value?.type.name === parameter) return value
    const shown = value ?? given
    const pointed = shown.type.kind === 'pointer' && shown.type.element.name === parameter
    if (!pointed)
      return this.fail(`wrong type for value; expected ${parameterNames[parameter]}; got ${toBytes(shown.type.name)}`)
    return elementOf(shown) ?? this.fail(`dereference of nil pointer of type ${parameter}`)
  }
}

/** What `call` was to call: as it is written, or the value that came through the pipe. */
function calleeName(written: Operand | undefined, piped: Maybe): string {
  if (written !== undefined) return showNode(written)
  const value = inside(piped)
  return value?.type.kind === 'string' ? (value.value as string) : `<${value?.type.name} Value>`
}
