import { isPrintable, runeBytes, runesOf } from './bytes.ts'
import type { Functions, GoFunction } from './functions.ts'
import { print } from './printf.ts'
import { inside, indirect, type Maybe, ofString } from './values.ts'

/** `html`, `js` and `urlquery`: their arguments as `print` shows them, made safe for such a place. */
const escaper = (escape: (text: string) => string): GoFunction => ({
  parameters: [],
  rest: 'any',
  call: (values) => ofString(escape(textOf(values))),
})

export const escapers: Functions = {
  html: escaper((text) => text.replaceAll(/["'&<>\0]/g, (char) => htmlForms[char] as string)),
  js: escaper((text) => [...runesOf(text)].map(({ point }) => scriptForm(point)).join('')),
  urlquery: escaper((text) => text.replaceAll(/[^\w.~-]/g, queryForm)),
}

function textOf(values: readonly Maybe[]): string {
  const [first] = values.map(inside)
  if (values.length === 1 && first?.type.name === 'string') return first.value as string
  return print(
    values.map((one) => (inside(one)?.type.kind === 'pointer' ? indirect(one).value : inside(one)) ?? noValue),
  )
}

const noValue = ofString('<no value>')

const htmlForms: Readonly<Record<string, string>> = {
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '\0': runeBytes(0xff_fd),
}

const scriptForms: Readonly<Record<string, string>> = {
  '\\': String.raw`\\`,
  "'": String.raw`\'`,
  '"': String.raw`\"`,
  '<': String.raw`\u003C`,
  '>': String.raw`\u003E`,
  '&': String.raw`\u0026`,
  '=': String.raw`\u003D`,
}

function scriptForm(point: number): string {
  const char = runeBytes(point)
  const known = scriptForms[char]
  if (known !== undefined) return known
  const isPlain = point < 0x80 ? point >= 0x20 : isPrintable(point)
  return isPlain ? char : `\\u${point.toString(16).toUpperCase().padStart(4, '0')}`
}

function queryForm(char: string): string {
  return char === ' ' ? '+' : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
