/** Reads plain data by a table of fields, as strictly as the specification's own library: what is not known is a fault. */
export class SpecFault extends Error {}

type Decode = (value: unknown, at: string) => unknown

/** Of YAML, where `true` and `1` may be meant as text. */
export const text: Decode = (value, at) => {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean' || typeof value === 'number') return String(value)
  throw new SpecFault(`${at} is no text`)
}

export const flag: Decode = (value, at) => {
  if (typeof value === 'boolean') return value
  throw new SpecFault(`${at} is neither true nor false`)
}

export function integer(least: number, most: number): Decode {
  return (value, at) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
    throw new SpecFault(`${at} is no whole number from ${least} to ${most}`)
  }
}

export function listOf(decode: Decode): Decode {
  return (value, at) => {
    if (!Array.isArray(value)) throw new SpecFault(`${at} is no list`)
    return value.map((item, index) => decode(item, `${at}[${index}]`))
  }
}

export const textMap: Decode = (value, at) =>
  Object.fromEntries(entriesOf(value, at).map(([name, item]) => [name, text(item, `${at}.${name}`)]))

/** Fields whose value is null are left out, as Go has it. */
export function objectOf(fields: Readonly<Record<string, Decode>>): Decode {
  return (value, at) => {
    const decoded: [string, unknown][] = []
    for (const [name, item] of entriesOf(value, at)) {
      const decode = Object.hasOwn(fields, name) ? fields[name] : undefined
      const place = at === '' ? name : `${at}.${name}`
      if (decode === undefined) throw new SpecFault(`unknown field ${place}`)
      if (item !== null) decoded.push([name, decode(item, place)])
    }
    return Object.fromEntries(decoded)
  }
}

function entriesOf(value: unknown, at: string): [string, unknown][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.entries(value)
  throw new SpecFault(`${at || 'the file'} is no object`)
}
