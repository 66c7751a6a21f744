/** Finds the patterns that can match a path without asking all of them: an ignore file may have thousands. */
import { literalEnd } from './ignore-pattern.ts'

interface IndexedPattern {
  readonly pattern: string
  /** Nothing in it stands for anything else. */
  readonly isLiteral: boolean
}

export interface PatternIndex<P extends IndexedPattern> {
  readonly patterns: readonly P[]
  /** Numbers of `known` patterns and of those that can match one of the paths (a path and its parents), ascending. */
  candidates(paths: readonly string[], known: ReadonlySet<number>): readonly number[]
}

/** Fewer are asked one by one: to look them up takes longer. */
const MIN_INDEXED = 64

/** Characters of an end that are looked up at most. */
const END_LENGTH = 4

export function createPatternIndex<P extends IndexedPattern>(patterns: readonly P[]): PatternIndex<P> {
  const literals = new Map<string, number[]>()
  const byTop = new Map<string, number[]>()
  const byEnd = new Map<string, number[]>()
  const others: number[] = []
  for (const [number, { pattern, isLiteral }] of patterns.entries()) {
    const top = /^([^*?]+?)\/./s.exec(pattern)?.[1]
    const end = literalEnd(pattern).slice(-END_LENGTH)
    if (isLiteral) add(literals, pattern, number)
    // What is malformed has to be asked, to be told.
    else if (patterns.length < MIN_INDEXED || /^[/\ufeff]|[[\]\\^{|]/.test(pattern)) others.push(number)
    else if (top !== undefined) add(byTop, top, number)
    else if (end !== '') add(byEnd, end, number)
    else others.push(number)
  }
  function candidates(paths: readonly string[], known: ReadonlySet<number>): readonly number[] {
    const found = [...known]
    for (const path of paths) addAll(found, literals.get(path))
    if (byTop.size > 0) addAll(found, byTop.get(topOf(paths[0]!)))
    if (byEnd.size > 0)
      for (const path of paths)
        for (let length = Math.min(END_LENGTH, path.length); length > 0; length--)
          addAll(found, byEnd.get(path.slice(-length)))
    return found.length === 0 ? others : merge(found, others)
  }
  return { patterns, candidates }
}

function add(map: Map<string, number[]>, key: string, number: number): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [number])
  else list.push(number)
}

function addAll(list: number[], more: readonly number[] | undefined): void {
  if (more !== undefined) for (const number of more) list.push(number)
}

function topOf(path: string): string {
  const end = path.indexOf('/')
  return end === -1 ? path : path.slice(0, end)
}

function merge(some: readonly number[], others: readonly number[]): number[] {
  const sorted = [...new Set(some)].sort((left, right) => left - right)
  const merged: number[] = []
  let at = 0
  for (const number of others) {
    while (at < sorted.length && sorted[at]! < number) merged.push(sorted[at++]!)
    if (sorted[at] === number) at++
    merged.push(number)
  }
  return merged.concat(sorted.slice(at))
}
