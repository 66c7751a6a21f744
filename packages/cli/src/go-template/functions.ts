import type { Maybe } from './values.ts'

/**
 * What a function takes: `value` anything, and nothing at all; `any` what an empty interface holds; `string` and `int` those types
 * alone, as Go does not convert.
 */
export type Parameter = 'value' | 'any' | 'string' | 'int'

/** A function that templates may call. */
export interface GoFunction {
  readonly parameters: readonly Parameter[]
  /** Of as many more as are given. */
  readonly rest?: Parameter
  /** @throws CallError */
  readonly call: (values: readonly Maybe[]) => Maybe
}

export type Functions = Readonly<Record<string, GoFunction>>

/** What a parameter is called in messages. */
export const parameterNames: Readonly<Record<Parameter, string>> = {
  value: 'reflect.Value',
  any: 'interface {}',
  string: 'string',
  int: 'int',
}

/** The longest text that a template may make: what is longer came of a mistake, or was meant to fill the memory. */
export const longestText = 16 * 1024 * 1024
