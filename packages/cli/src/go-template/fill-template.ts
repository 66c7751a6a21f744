import { fromBytes, toBytes } from './bytes.ts'
import { builtins } from './builtins.ts'
import { buildxFunctions, dockerFunctions, headerFunctions } from './docker-functions.ts'
import { TemplateError } from './errors.ts'
import { execute } from './execute.ts'
import type { Functions } from './functions.ts'
import { parseTemplate } from './parse.ts'
import { anyType, type GoType, interfaceType } from './types.ts'
import { inside, readMember } from './values.ts'
import { UsageError } from '../usage-error.ts'

export interface FillOptions {
  /** Type of the data: which fields there are, and what they are called. Without one, objects are maps. */
  readonly type?: GoType
  /** The same object as JSON has it. A template that fails on the type is tried on this, as `docker inspect` does. */
  readonly raw?: unknown
  /** A key that the data do not have is an error, and not `<no value>`: for maps whose members are known. */
  readonly isStrict?: boolean
  /** The line of headers: `upper`, `json` and the others leave them as they are. */
  readonly isHeader?: boolean
  /** `json` is indented by two spaces, as buildx has it. */
  readonly isIndented?: boolean
}

/** A template, parsed once, that fills in as many objects as there are. */
export type Template = (data: unknown, options?: FillOptions) => string

const basicFunctions: Functions = { ...builtins, ...dockerFunctions }
const tableFunctions: Functions = { ...builtins, ...headerFunctions }
const indentedFunctions: Functions = { ...basicFunctions, ...buildxFunctions }
const isFunction = (name: string) => name === 'and' || name === 'or' || Object.hasOwn(basicFunctions, name)

/**
 * Parses a Go template with Docker's functions: the language of text/template, but for complex numbers and values of functions.
 * @throws UsageError with Go's message and exit status 64; the template that it returns throws one with 1
 */
export function compileTemplate(text: string): Template {
  const bytes = toBytes(text)
  const templates = reported(() => parseTemplate(bytes, isFunction))
  return (data, { type = anyType, raw, isStrict = false, isHeader = false, isIndented = false } = {}) => {
    const functions = isHeader ? tableFunctions : isIndented ? indentedFunctions : basicFunctions
    const run = (of: GoType, value: unknown, strictKeys: boolean) =>
      fromBytes(execute(bytes, templates, inside(readMember(of, value)), { functions, strictKeys }))
    return reported(() => {
      try {
        return run(type, data, isStrict)
      } catch (error) {
        if (raw === undefined || !(error instanceof TemplateError) || error.stage === 'limit') throw error
        return run(interfaceType('json.Number'), raw, true)
      }
    }, data)
  }
}

/** Fills a Go template with one object, as Docker's `--format` does. @throws UsageError */
export function fillTemplate(text: string, data: unknown, options: FillOptions = {}): string {
  return compileTemplate(text)(data, options)
}

function reported<Result>(work: () => Result, data?: unknown): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    throw new UsageError(`template parsing error: ${error.message}`, {
      hint: hintOf(error, data),
      exitCode: error.stage === 'parse' ? 64 : 1,
    })
  }
}

function hintOf({ message }: TemplateError, data: unknown): string {
  const isField = /can't evaluate field|map has no entry/.test(message)
  if (!isField || typeof data !== 'object' || data === null) return "as in --format '{{.ID}}' or --format json"
  return `fields: ${Object.keys(data).join(', ')}`
}
