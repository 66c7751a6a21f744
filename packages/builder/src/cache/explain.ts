import type { Store } from '../content/types.ts'
import type { CacheKey } from './keys.ts'

/**
 * Why a vertex was not found: compares what is hashed into its key now with what was the last time that a vertex of this
 * name ran. Undefined when it never ran here.
 */
export function explainMiss(store: Store, name: string, key: CacheKey): string | undefined {
  const before = store.cache.findByName(name)
  if (before === undefined) return undefined
  const then = JSON.parse(before.preimage) as Preimage
  const now = JSON.parse(key.preimage) as Preimage
  const differences = [...compare('', then.op, now.op), ...compareInputs(then.inputs ?? [], now.inputs ?? [])]
  return differences.length === 0 ? 'it was dropped from the cache' : differences.slice(0, MAX_REASONS).join('; ')
}

const MAX_REASONS = 3

interface Preimage {
  readonly op?: unknown
  readonly inputs?: readonly { readonly key?: string; readonly content?: string; readonly selectors?: readonly { readonly path: string }[] }[]
}

function compareInputs(then: NonNullable<Preimage['inputs']>, now: NonNullable<Preimage['inputs']>): string[] {
  if (then.length !== now.length) return [`it has ${now.length} inputs, then ${then.length}`]
  return now.flatMap((input, index) => {
    const other = then[index]!
    if (input.content !== undefined && other.content !== undefined && input.content !== other.content) {
      const paths = (input.selectors ?? []).map((selector) => selector.path).join(', ')
      return [`the content of ${paths} changed`]
    }
    if (input.key !== undefined && other.key !== undefined && input.key !== other.key) return [index === 0 ? 'what it builds on changed' : `input ${index + 1} changed`]
    return []
  })
}

function compare(path: string, then: unknown, now: unknown): string[] {
  if (JSON.stringify(then) === JSON.stringify(now)) return []
  if (Array.isArray(then) && Array.isArray(now) && path.endsWith('env')) return compareEnv(then as string[], now as string[])
  if (isRecord(then) && isRecord(now)) {
    return [...new Set([...Object.keys(then), ...Object.keys(now)])].flatMap((key) => compare(path === '' ? key : `${path}.${key}`, then[key], now[key]))
  }
  if (Array.isArray(then) && Array.isArray(now) && then.length === now.length) return now.flatMap((item, index) => compare(`${path}[${index}]`, then[index], item))
  return [`${path} changed from ${short(then)} to ${short(now)}`]
}

function compareEnv(then: readonly string[], now: readonly string[]): string[] {
  const names = (list: readonly string[]): Map<string, string> => new Map(list.map((entry) => [entry.split('=', 1)[0]!, entry]))
  const before = names(then)
  const after = names(now)
  const changed = [...after].filter(([name, entry]) => before.get(name) !== entry).map(([name]) => `variable ${name} changed`)
  return [...changed, ...[...before.keys()].filter((name) => !after.has(name)).map((name) => `variable ${name} is gone`)]
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}
