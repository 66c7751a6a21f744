import { countRunes, fromBytes, toBytes } from './bytes.ts'
import { CallError } from './errors.ts'
import { type Functions, type GoFunction, longestText } from './functions.ts'
import { indentJson, jsonOf } from './json-text.ts'
import { showValue } from './print-value.ts'
import {
  compareBytes,
  elementAt,
  entryOf,
  type GoValue,
  inside,
  keysOf,
  lengthOf,
  type Maybe,
  ofString,
  readMember,
} from './values.ts'
import { sliceType, stringType } from './types.ts'

const textOf = (value: Maybe) => (value as GoValue).value as string
const numberOf = (value: Maybe) => Number((value as GoValue).value)

const onText = (change: (text: string) => string): GoFunction => ({
  parameters: ['string'],
  call: ([text]) => ofString(toBytes(change(fromBytes(textOf(text))))),
})

/** Where buildx differs from Docker. */
export const buildxFunctions: Functions = {
  json: { parameters: ['any'], call: ([value]) => ofString(indentJson(jsonOf(value))) },
}

/** What Docker adds to the functions of text/template. */
export const dockerFunctions: Functions = {
  json: { parameters: ['any'], call: ([value]) => ofString(jsonOf(value)) },
  split: { parameters: ['string', 'string'], call: ([text, separator]) => split(textOf(text), textOf(separator)) },
  join: { parameters: ['any', 'string'], call: ([list, separator]) => ofString(join(list, textOf(separator))) },
  title: onText((text) => text.replaceAll(/(?<![\p{L}\p{N}_])\p{L}/gu, (letter) => letter.toUpperCase())),
  lower: onText((text) => text.toLowerCase()),
  upper: onText((text) => text.toUpperCase()),
  pad: {
    parameters: ['string', 'int', 'int'],
    call: ([text, before, after]) => ofString(padded(textOf(text), numberOf(before), numberOf(after))),
  },
  truncate: { parameters: ['string', 'int'], call: ([text, length]) => ofString(cut(textOf(text), numberOf(length))) },
}

const kept: GoFunction = { parameters: ['string'], call: ([text]) => text }

/** The same for the line of headers, which stay as they are. */
export const headerFunctions: Functions = {
  ...dockerFunctions,
  json: kept,
  split: { parameters: ['string', 'string'], call: ([text]) => text },
  join: { parameters: ['string', 'string'], call: ([text]) => text },
  title: kept,
  lower: kept,
  upper: kept,
  truncate: { parameters: ['string', 'int'], call: ([text]) => text },
}

function split(text: string, separator: string): Maybe {
  const parts = separator === '' ? Array.from(fromBytes(text), toBytes) : text.split(separator)
  return readMember(sliceType(stringType), parts.map(ofString))
}

function join(given: Maybe, separator: string): string {
  const list = inside(given)
  if (list === undefined) return ''
  if (list.type.kind === 'slice') {
    const parts = Array.from({ length: lengthOf(list) }, (_, at) => showValue(elementAt(list, at)))
    return parts.join(separator)
  }
  if (list.type.kind !== 'map') throw new CallError(`expected slice, got ${list.type.name}`)
  const parts = keysOf(list).map((key) => showValue(entryOf(list, key)))
  return parts.toSorted(compareBytes).join(separator)
}

function padded(text: string, before: number, after: number): string {
  if (text === '') return ''
  if (before < 0 || after < 0) throw new CallError('strings: negative Repeat count')
  if (before + after + countRunes(text) > longestText) throw new CallError('strings: Repeat output length overflow')
  return ' '.repeat(before) + text + ' '.repeat(after)
}

function cut(text: string, length: number): string {
  if (text.length < length) return text
  if (length < 0) throw new CallError(`runtime error: slice bounds out of range [:${length}]`)
  return text.slice(0, length)
}
