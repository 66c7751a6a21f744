import { BuilderError } from '../../base/errors.ts'

/** A table of TOML, an object of JSON. */
export type Table = Readonly<Record<string, unknown>>

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

export function invalid(file: string, what: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `${file}: ${what}`, {
    hint: 'correct the file; --registries-conf FILE names another one',
    details: { file },
  })
}

/** @throws OCI_OPTION_INVALID */
export function textField(file: string, table: Table, name: string): string | undefined {
  const value = table[name]
  if (value === undefined || typeof value === 'string') return value
  throw invalid(file, `${name} is to be a text`)
}

/** @throws OCI_OPTION_INVALID */
export function flagField(file: string, table: Table, name: string): boolean {
  const value = table[name] ?? false
  if (typeof value === 'boolean') return value
  throw invalid(file, `${name} is to be true or false`)
}

/** @throws OCI_OPTION_INVALID */
export function textsField(file: string, table: Table, name: string): readonly string[] {
  const value = table[name] ?? []
  if (Array.isArray(value) && value.every((one): one is string => typeof one === 'string')) return value
  throw invalid(file, `${name} is to be a list of texts`)
}

/** @throws OCI_OPTION_INVALID */
export function tablesField(file: string, table: Table, name: string): readonly Table[] {
  const value = table[name] ?? []
  if (Array.isArray(value) && value.every(isTable)) return value
  throw invalid(file, `${name} is to be a list of tables: [[${name}]]`)
}

/** `host[:port][/path]` without a slash at its end. @throws OCI_OPTION_INVALID */
export function locationOf(file: string, text: string): string {
  const trimmed = text.replace(/\/+$/, '')
  const [host = '', ...path] = trimmed.split('/')
  const isHost = /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/.test(host) && URL.canParse(`https://${host}`)
  if (isHost && path.every((part) => /^[a-z0-9._-]+$/.test(part))) return trimmed
  throw invalid(file, `${JSON.stringify(text)} is no HOST[:PORT][/PATH]`)
}

/** As {@link locationOf}, also with a scheme before it. */
export function locationOfUrl(file: string, text: string): { readonly location: string; readonly isPlain: boolean } {
  const bare = text.replace(/^https?:\/\//i, '')
  return { location: locationOf(file, bare), isPlain: /^http:/i.test(text) }
}
