/**
 * Runs the expression of an ignore pattern in time linear in the path. JavaScript's expressions go back and try again:
 * a pattern such as `*a*a*a*a*a*b` takes them longer than a build may live, and BuildKit's (RE2) no time at all.
 */
import { includesCode, type CodeRanges } from './code-ranges.ts'

export type Assertion = 'start' | 'end' | 'wordBoundary' | 'noWordBoundary'

/** What an alternative consists of. */
export type Item =
  | { readonly kind: 'set'; readonly ranges: CodeRanges; readonly min: number; readonly max: number }
  /** Any number of directories: nothing, or what ends with a slash. */
  | { readonly kind: 'directories' }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }

export interface Alternative {
  readonly items: readonly Item[]
  readonly isAnchoredAtStart: boolean
  readonly isAnchoredAtEnd: boolean
}

const CONSUME = 0
const REPEAT = 1
const OPTIONAL = 2
const JUMP = 3
const ASSERT = 4
const ACCEPT = 5

/** Positions in a pattern: what is done there, with which set, and where it may go besides the next one. */
interface Program {
  readonly kinds: number[]
  /** The set to consume; of a jump its target, of an assertion its number. */
  readonly operands: number[]
  readonly sets: CodeRanges[]
  readonly starts: number[]
  hasAssertions: boolean
}

/** BuildKit's expressions have a limit of the same kind: `a{1000}` repeated through a long line is no pattern. */
const MAX_POSITIONS = 1_000_000

const ANYTHING: CodeRanges = [0, 0x10ffff]
const NO_NEWLINE: CodeRanges = [0, 9, 11, 0x10ffff]
const SLASH: CodeRanges = [0x2f, 0x2f]
const ASSERTIONS: readonly Assertion[] = ['start', 'end', 'wordBoundary', 'noWordBoundary']

/** A test whether a text matches one of the alternatives; undefined: they are too large. */
export function createAutomaton(alternatives: readonly Alternative[]): ((text: string) => boolean) | undefined {
  const program = compile(alternatives)
  if (program === undefined) return undefined
  return program.hasAssertions ? (text) => runByPosition(program, text) : createCachedRun(program)
}

function compile(alternatives: readonly Alternative[]): Program | undefined {
  const program: Program = { kinds: [], operands: [], sets: [], starts: [], hasAssertions: false }
  const setNumbers = new Map<string, number>()
  const add = (kind: number, operand: number): void => {
    program.kinds.push(kind)
    program.operands.push(operand)
  }
  const numberOf = (ranges: CodeRanges): number => {
    const key = ranges.join()
    const known = setNumbers.get(key)
    if (known !== undefined) return known
    setNumbers.set(key, program.sets.length)
    return program.sets.push(ranges) - 1
  }
  const addItem = (item: Item): void => {
    if (item.kind === 'assertion') {
      program.hasAssertions = true
      add(ASSERT, ASSERTIONS.indexOf(item.assertion))
    } else if (item.kind === 'directories') {
      add(JUMP, program.kinds.length + 3)
      add(REPEAT, numberOf(NO_NEWLINE))
      add(CONSUME, numberOf(SLASH))
    } else {
      const set = numberOf(item.ranges)
      for (let count = 0; count < item.min; count++) add(CONSUME, set)
      if (item.max === Infinity) add(REPEAT, set)
      else for (let count = item.min; count < item.max; count++) add(OPTIONAL, set)
    }
  }
  for (const { items, isAnchoredAtStart, isAnchoredAtEnd } of alternatives) {
    program.starts.push(program.kinds.length)
    if (!isAnchoredAtStart) add(REPEAT, numberOf(ANYTHING))
    for (const item of items) {
      addItem(item)
      if (program.kinds.length > MAX_POSITIONS) return undefined
    }
    if (!isAnchoredAtEnd) add(REPEAT, numberOf(ANYTHING))
    add(ACCEPT, 0)
  }
  return program
}

/** Positions that are reached without reading, each once. */
interface Closure {
  begin(): void
  add(position: number, holds: (assertion: Assertion) => boolean): void
  readonly positions: number[]
  accepts: boolean
}

function createClosure({ kinds, operands }: Program): Closure {
  const marks = new Int32Array(kinds.length)
  let round = 0
  const pending: number[] = []
  const closure: Closure = {
    positions: [],
    accepts: false,
    begin: () => {
      round++
      closure.positions.length = 0
      closure.accepts = false
    },
    add: (position, holds) => {
      pending.push(position)
      for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
        if (marks[at] === round) continue
        marks[at] = round
        const kind = kinds[at]
        if (kind === ACCEPT) closure.accepts = true
        else if (kind === ASSERT) {
          if (holds(ASSERTIONS[operands[at]!]!)) pending.push(at + 1)
        } else if (kind === JUMP) pending.push(at + 1, operands[at]!)
        else {
          closure.positions.push(at)
          if (kind !== CONSUME) pending.push(at + 1)
        }
      }
    },
  }
  return closure
}

const never = (): boolean => false

/** Without a cache: what an assertion says depends on the character behind. */
function runByPosition(program: Program, text: string): boolean {
  const { kinds, operands, sets, starts } = program
  const closure = createClosure(program)
  const codes = Array.from(text, (character) => character.codePointAt(0)!)
  let at = 0
  const holds = (assertion: Assertion): boolean => {
    if (assertion === 'start') return at === 0
    if (assertion === 'end') return at === codes.length
    return (isWordCode(codes[at - 1]) !== isWordCode(codes[at])) === (assertion === 'wordBoundary')
  }
  closure.begin()
  for (const start of starts) closure.add(start, holds)
  while (at < codes.length && closure.positions.length > 0) {
    const from = [...closure.positions]
    const code = codes[at++]!
    closure.begin()
    for (const position of from) {
      if (!includesCode(sets[operands[position]!]!, code)) continue
      closure.add(kinds[position] === REPEAT ? position : position + 1, holds)
    }
  }
  return at === codes.length && closure.accepts
}

function isWordCode(code: number | undefined): boolean {
  return code !== undefined && code < 0x80 && /\w/.test(String.fromCharCode(code))
}

/** A set of positions, and where each kind of character leads from it. */
interface State {
  readonly positions: readonly number[]
  readonly accepts: boolean
  readonly next: (State | undefined)[]
}

const DEAD: State = { positions: [], accepts: false, next: [] }

/** Larger sets are not remembered: they are rare, and a hostile pattern would fill the memory with them. */
const MAX_CACHED_POSITIONS = 64
const MAX_CACHED_STATES = 128

function createCachedRun(program: Program): (text: string) => boolean {
  const { kinds, operands, sets, starts } = program
  const codeClasses = createCodeClasses(sets)
  const closure = createClosure(program)
  let states = new Map<string, State>()

  function stateOf(): State {
    const { positions, accepts } = closure
    if (positions.length === 0 && !accepts) return DEAD
    if (positions.length > MAX_CACHED_POSITIONS) return { positions: [...positions], accepts, next: [] }
    positions.sort((left, right) => left - right)
    const key = `${positions.join()}${accepts ? '!' : ''}`
    const known = states.get(key)
    if (known !== undefined) return known
    const state: State = { positions: [...positions], accepts, next: [] }
    states.set(key, state)
    return state
  }

  function step({ positions }: State, code: number): State {
    closure.begin()
    for (const position of positions) {
      if (!includesCode(sets[operands[position]!]!, code)) continue
      closure.add(kinds[position] === REPEAT ? position : position + 1, never)
    }
    return stateOf()
  }

  function begin(): State {
    closure.begin()
    for (const start of starts) closure.add(start, never)
    return stateOf()
  }

  let first = begin()
  return (text) => {
    if (states.size > MAX_CACHED_STATES) {
      states = new Map()
      first = begin()
    }
    let state = first
    for (let at = 0; at < text.length; at++) {
      let code = text.charCodeAt(at)
      if (code >= 0xd800 && code < 0xdc00) {
        code = text.codePointAt(at)!
        if (code > 0xffff) at++
      }
      const codeClass = codeClasses(code)
      let next = state.next[codeClass]
      if (next === undefined) {
        next = step(state, code)
        // What a long text makes of many states is forgotten with the text.
        if (states.size <= MAX_CACHED_STATES) state.next[codeClass] = next
      }
      if (next === DEAD) return false
      state = next
    }
    return state.accepts
  }
}

const ASCII = 0x80

/** Characters that no set tells apart have one number. */
function createCodeClasses(sets: readonly CodeRanges[]): (code: number) => number {
  const bounds = new Set<number>([0])
  for (const ranges of sets) {
    for (let at = 0; at < ranges.length; at += 2) {
      bounds.add(ranges[at]!)
      bounds.add(ranges[at + 1]! + 1)
    }
  }
  const sorted = Int32Array.from(bounds).sort()
  const search = (code: number): number => {
    let low = 0
    let high = sorted.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (sorted[middle]! <= code) low = middle
      else high = middle - 1
    }
    return low
  }
  const ascii = Int32Array.from({ length: ASCII }, (_, code) => search(code))
  return (code) => (code < ASCII ? ascii[code]! : search(code))
}
