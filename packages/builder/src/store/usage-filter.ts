import { BuilderError } from '../base/errors.ts'
import type { UsageRecord } from './types.ts'

/** Whether a record of the cache is meant. */
export type UsagePredicate = (record: UsageRecord) => boolean

/** What `until` says beside what a record is. */
export interface UsageFilter {
  readonly fits: UsagePredicate
  /** Of `until` and `unused-for`: only what was not used for this long. */
  readonly unusedForMs?: number
}

const texts: Readonly<Record<string, (record: UsageRecord) => string>> = {
  id: ({ id }) => id,
  parents: ({ parents }) => parents.join(';'),
  description: ({ description }) => description,
  type: ({ type }) => type,
}

const marks: Readonly<Record<string, UsagePredicate>> = {
  inuse: ({ isInUse }) => isInUse,
  mutable: ({ isMutable }) => isMutable,
  immutable: ({ isMutable }) => !isMutable,
  shared: ({ isShared }) => isShared,
  private: ({ isShared }) => !isShared,
}

const KNOWN = `${Object.keys(texts).join(', ')} (with =, != or ~=), ${Object.keys(marks).join(', ')}, until=DURATION`

/**
 * `--filter` of buildx's `du` and `prune`: `type=regular`, `type!=regular`, `description~=npm`, `shared`, `until=24h`; BuildKit's own
 * `type==regular` as well. All of them have to fit; `id=` finds a part of an id. Other than in buildx, `shared=true` and `shared=false` mean what they say.
 * @throws OCI_OPTION_INVALID
 */
export function parseUsageFilters(filters: readonly string[]): UsageFilter {
  const durations = filters.flatMap((filter) => durationOf(filter) ?? [])
  if (durations.length > 1)
    throw invalid(durations[1]!.filter, 'until and unused-for mean the same, and are given once')
  const predicates = filters.filter((filter) => durationOf(filter) === undefined).map(predicateOf)
  const [unused] = durations
  return {
    fits: (record) => predicates.every((fits) => fits(record)),
    ...(unused === undefined ? {} : { unusedForMs: unused.ms }),
  }
}

function durationOf(filter: string): { readonly filter: string; readonly ms: number } | undefined {
  const [, name, value = ''] = /^\s*(until|unused-for)\s*=(.*)$/is.exec(filter) ?? []
  if (name === undefined) return undefined
  const ms = parseGoDuration(value.trim())
  if (ms === undefined) throw invalid(filter, `${name} wants a duration, as in ${name}=24h or ${name}=90m`)
  return { filter, ms }
}

function predicateOf(filter: string): UsagePredicate {
  const [, name = '', operator, quoted = ''] = /^\s*([A-Za-z-]+)\s*(?:(==|!=|~=|=)(.*))?$/s.exec(filter) ?? []
  const field = name.toLowerCase()
  const value = unquote(quoted.trim())
  const mark = Object.hasOwn(marks, field) ? marks[field] : undefined
  if (mark !== undefined) return markPredicate(mark, filter, operator, value)
  const text = Object.hasOwn(texts, field) ? texts[field] : undefined
  if (text === undefined) throw invalid(filter, `known are ${KNOWN}`)
  if (operator === undefined) return (record) => text(record) !== ''
  if (operator === '!=') return (record) => text(record) !== value
  if (operator === '~=' || (operator === '=' && field === 'id')) {
    const pattern = patternOf(filter, value)
    return (record) => pattern.test(text(record))
  }
  return (record) => text(record) === value
}

function markPredicate(
  mark: UsagePredicate,
  filter: string,
  operator: string | undefined,
  value: string,
): UsagePredicate {
  if (operator === undefined) return mark
  const wanted = { true: true, '1': true, false: false, '0': false }[value.toLowerCase()]
  if (wanted === undefined || operator === '~=') throw invalid(filter, 'it is true or false: shared, or shared=false')
  return (record) => mark(record) === (operator === '!=' ? !wanted : wanted)
}

function patternOf(filter: string, value: string): RegExp {
  try {
    return new RegExp(value)
  } catch {
    throw invalid(filter, 'behind ~= stands a regular expression; \\ before a character takes it as it is')
  }
}

function unquote(value: string): string {
  return /^"[^"]*"$/.test(value) ? value.slice(1, -1) : value
}

/** Go's durations: `24h`, `1h30m`, `90s`; undefined for another text. */
function parseGoDuration(text: string): number | undefined {
  const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  if (text === '0') return 0
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (factors[unit ?? ''] ?? 0), 0)
}

function invalid(filter: string, hint: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `the filter ${JSON.stringify(filter)} is not understood`, { hint })
}
