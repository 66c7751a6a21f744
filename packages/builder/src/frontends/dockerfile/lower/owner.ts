import type { Owner, OwnerId } from '../../../graph/op-specs.ts'

const NUMBER = /^[+-]?[0-9]+$/
const MIN_INT32 = -(2 ** 31)
const MAX_INT32 = 2 ** 31 - 1

/** `user[:group]` of COPY, ADD and WORKDIR; names are looked up in input `input`. */
export function parseOwner(text: string, input: number): Owner {
  const colon = text.indexOf(':')
  if (colon === -1) return { user: parseId(text, input) }
  return { user: parseId(text.slice(0, colon), input), group: parseId(text.slice(colon + 1), input) }
}

function parseId(text: string, input: number): OwnerId {
  if (text === 'root' || text === '') return { id: 0 }
  const number = NUMBER.test(text) ? Number(text) : Number.NaN
  // A negative number is the unsigned one with the same bits.
  if (number >= MIN_INT32 && number <= MAX_INT32) return { id: number >>> 0 }
  return { name: text, input }
}
