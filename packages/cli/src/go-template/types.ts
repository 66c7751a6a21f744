/**
 * Types of Go, as far as data of commands have them. They say what a template may do with a value: which fields a struct has, what
 * `len`, `index` and comparisons take, what `%T` and messages call it.
 */
export type GoType = BasicType | InterfaceType | SliceType | MapType | StructType | PointerType

export type IntKind = 'int' | 'int64' | 'uint8' | 'uint16' | 'uint32' | 'uint64' | 'int8' | 'int16' | 'int32' | 'uint'

export interface BasicType {
  readonly kind: 'bool' | 'string' | 'float64' | IntKind
  /** As `%T` shows it: `string`, `digest.Digest`. */
  readonly name: string
  /** Methods without arguments that templates may call as if they were fields. */
  readonly methods?: Readonly<Record<string, (value: never) => { type: GoType; value: unknown }>>
  /** What is printed instead of the value: the type's `String()`. */
  readonly show?: (value: never) => string
}

/** What JSON says, with no type known: `numbers` is what a number becomes. */
export interface InterfaceType {
  readonly kind: 'interface'
  readonly name: 'interface {}'
  readonly numbers: 'json.Number' | 'float64' | 'int'
}

export interface SliceType {
  readonly kind: 'slice'
  readonly name: string
  readonly element: GoType
}

/** Keys are strings. */
export interface MapType {
  readonly kind: 'map'
  readonly name: string
  readonly element: GoType
}

export interface StructField {
  readonly type: GoType
  /** Its member in the data, where that has another name. */
  readonly member?: string
  /** A struct within the struct, whose fields are found as if they were its own; its data are the same object. */
  readonly isEmbedded?: boolean
}

export interface StructType {
  readonly kind: 'struct'
  readonly name: string
  readonly fields: Readonly<Record<string, StructField>>
  /** The fields are methods, as of a row of a table: the JSON of it is sorted by name, and `<` is escaped in it. */
  readonly isRow?: boolean
}

export interface PointerType {
  readonly kind: 'pointer'
  readonly name: string
  readonly element: GoType
}

const basic = <Kind extends BasicType['kind']>(kind: Kind) => ({ kind, name: kind }) as const

export const boolType: BasicType = basic('bool')
export const stringType: BasicType = basic('string')
export const intType: BasicType = basic('int')
export const int64Type: BasicType = basic('int64')
export const byteType: BasicType = basic('uint8')
export const float64Type: BasicType = basic('float64')

/** What a decoder that keeps the digits of numbers makes of one: a string that is printed as a number in JSON. */
export const jsonNumberType: BasicType = {
  kind: 'string',
  name: 'json.Number',
  methods: {
    String: (value: string) => ({ type: stringType, value }),
    Int64: (value: string) => ({ type: int64Type, value: BigInt(Math.trunc(Number(value))) }),
    Float64: (value: string) => ({ type: float64Type, value: Number(value) }),
  },
}

export function interfaceType(numbers: InterfaceType['numbers']): InterfaceType {
  return { kind: 'interface', name: 'interface {}', numbers }
}

/** A plain JSON value of the program's own: whole numbers are integers. */
export const anyType = interfaceType('int')

export function sliceType(element: GoType): SliceType {
  return { kind: 'slice', name: `[]${element.name}`, element }
}

export function mapType(element: GoType, name = `map[string]${element.name}`): MapType {
  return { kind: 'map', name, element }
}

export function pointerType(element: GoType): PointerType {
  return { kind: 'pointer', name: `*${element.name}`, element }
}

/** A field is given by its type, or with the name of its member in the data. */
export function structType(name: string, fields: Readonly<Record<string, GoType | StructField>>): StructType {
  const entries = Object.entries(fields).map(([field, given]) => [field, 'kind' in given ? { type: given } : given])
  return { kind: 'struct', name, fields: Object.fromEntries(entries) as Record<string, StructField> }
}

/** A row of a table, as Docker's formatter has it: each column is a text. */
export function rowType(name: string, columns: readonly string[]): PointerType {
  const fields = Object.fromEntries(columns.map((column) => [column, { type: stringType }]))
  return pointerType({ kind: 'struct', name, fields, isRow: true })
}

export const isIntKind = (kind: GoType['kind']): kind is IntKind => kind.startsWith('int') && kind !== 'interface'
export const isUintKind = (kind: GoType['kind']): kind is IntKind => kind.startsWith('uint')
