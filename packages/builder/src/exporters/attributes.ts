import { parseBoolean } from '../base/boolean.ts'
import { BuilderError } from '../base/errors.ts'
import { findSuggestion } from '../base/suggest.ts'

/** Attributes of one output; each is taken once, what nobody took is unknown. */
export interface Attributes {
  text(key: string): string | undefined
  /** As Go reads booleans; present without a value is true. */
  flag(key: string): boolean | undefined
  integer(key: string, min: number, max: number): number | undefined
  /** All keys that match, taken. */
  matching(pattern: RegExp): readonly (readonly [match: RegExpExecArray, value: string])[]
  /** Known to BuildKit, and not here: any value but a false one is refused by name. */
  refuse(keys: readonly string[], hint?: string): void
  /** @throws OCI_OPTION_INVALID naming the first attribute that nobody took */
  end(): void
}

/** Reads the attributes of `type`. @throws OCI_OPTION_INVALID naming the attribute whose value is wrong */
export function readAttributes(
  type: string,
  attrs: Readonly<Record<string, string>>,
  subject: 'output' | 'cache' = 'output',
): Attributes {
  const left = new Map(Object.entries(attrs))
  // Where it goes is no attribute of a type, though it is written among them.
  const known = new Set(['dest'])
  const take = (key: string): string | undefined => {
    known.add(key)
    const value = left.get(key)
    left.delete(key)
    return value
  }
  const invalid = (key: string, value: string, wanted: string): BuilderError =>
    new BuilderError('OCI_OPTION_INVALID', `${subject} type=${type}: ${key}=${value}: ${wanted} expected`)

  const flag = (key: string): boolean | undefined => {
    const value = take(key)
    if (value === undefined) return undefined
    const flag = value === '' ? true : parseBoolean(value)
    if (flag === undefined) throw invalid(key, value, 'true or false')
    return flag
  }

  return {
    text: take,
    flag,
    integer(key, min, max) {
      const value = take(key)
      if (value === undefined || value === '') return undefined
      if (!/^-?\d{1,15}$/.test(value) || Number(value) < min || Number(value) > max)
        throw invalid(key, value, `a whole number from ${min} to ${max}`)
      return Number(value)
    },
    matching(pattern) {
      const found = [...left].flatMap(([key, value]) => {
        const match = pattern.exec(key)
        return match === null ? [] : [[match, value] as const]
      })
      for (const [match] of found) left.delete(match.input)
      return found
    },
    refuse(keys, hint) {
      for (const key of keys) {
        const value = left.get(key)
        left.delete(key)
        if (value === undefined || parseBoolean(value) === false) continue
        throw new BuilderError('OCI_OPTION_UNSUPPORTED', `${subject} type=${type}: attribute ${key} is not supported`, {
          hint,
        })
      }
    },
    end() {
      const [unknown] = left.keys()
      if (unknown === undefined) return
      const near = findSuggestion(unknown, [...known])
      throw new BuilderError(
        'OCI_OPTION_INVALID',
        `${subject} type=${type}: unknown attribute ${JSON.stringify(unknown)}`,
        {
          hint: near === undefined ? `known: ${[...known].toSorted().join(', ')}` : `did you mean ${near}?`,
        },
      )
    },
  }
}
