import { fromBytes, toBytes } from './bytes.ts'
import { elementAt, elementOf, entryOf, type GoValue, keysOf, lengthOf, type Maybe, readMember } from './values.ts'

/** JSON as Go's encoder writes it, a byte string: maps sorted by their keys, structs in the order of the data. */
export function jsonOf(given: Maybe): string {
  if (given === undefined) return 'null'
  const { type, value } = given
  switch (type.kind) {
    case 'string':
      return type.name === 'json.Number' ? (value as string) : jsonString(value as string)
    case 'interface':
    case 'pointer':
      return jsonOf(elementOf(given))
    case 'slice':
      if (value === null) return 'null'
      return `[${Array.from({ length: lengthOf(given) }, (_, at) => jsonOf(elementAt(given, at))).join(',')}]`
    case 'map':
      if (value === null) return 'null'
      return jsonObject(keysOf(given).map((key) => [key, entryOf(given, key)]))
    case 'struct':
      return jsonStruct(given)
    default:
      return typeof value === 'number' ? jsonFloat(value) : String(value)
  }
}

function jsonFloat(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

function jsonObject(entries: readonly (readonly [string, Maybe])[]): string {
  return `{${entries.map(([key, value]) => `${jsonString(toBytes(key))}:${jsonOf(value)}`).join(',')}}`
}

/** The members that the data have, as a command prints them without a template. */
function jsonStruct(given: GoValue): string {
  const { type, value } = given
  if (type.kind !== 'struct') return 'null'
  const data = value as Readonly<Record<string, unknown>>
  if (type.isRow) {
    // Most fields of a row are text; those that are not keep their type.
    const row = Object.entries(type.fields)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => [name, readMember(field.type, data[name])] as const)
    return jsonObject(row).replaceAll(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)
  }
  const members = new Map(memberTypes(given))
  return jsonObject(
    Object.entries(data)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [
        key,
        members.get(key) ?? readMember({ kind: 'interface', name: 'interface {}', numbers: 'int' }, member),
      ]),
  )
}

function* memberTypes({ type, value }: GoValue): Generator<[string, GoValue]> {
  if (type.kind !== 'struct') return
  const data = value as Readonly<Record<string, unknown>>
  for (const [name, field] of Object.entries(type.fields)) {
    const member = field.member ?? name
    if (field.isEmbedded) yield* memberTypes(readMember(field.type, data))
    else if (Object.hasOwn(data, member)) yield [member, readMember(field.type, data[member])]
  }
}

/** Only what JSON forbids is escaped, and the two line ends that JavaScript did not know; `<` is not. */
function jsonString(bytes: string): string {
  const text = JSON.stringify(fromBytes(bytes))
    .replaceAll('\u2028', String.raw`\u2028`)
    .replaceAll('\u2029', String.raw`\u2029`)
    // What a terminal acts on is escaped, which means the same.
    .replaceAll(
      /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  return toBytes(text)
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[^"[\]{},:]+|[[\]{},:]/g

/** JSON as Go's `MarshalIndent` writes it, two spaces a level; `<`, `>` and `&` are escaped. */
export function indentJson(compact: string): string {
  let depth = 0
  let before = ''
  const line = (): string => `\n${'  '.repeat(depth)}`
  return compact.replaceAll(TOKENS, (token) => {
    const previous = before
    before = token
    const isFirst = previous === '{' || previous === '['
    if (token === '}' || token === ']') {
      depth--
      return isFirst ? token : line() + token
    }
    const start = isFirst || previous === ',' ? line() : ''
    if (token === '{' || token === '[') {
      depth++
      return start + token
    }
    if (token === ':') return ': '
    return start + token.replaceAll(/[<>&]/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`)
  })
}
