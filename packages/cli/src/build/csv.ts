/** The fields of one line of CSV as Docker's flags use it: commas part, a field in double quotes may hold commas. */
export function csvFields(text: string): string[] {
  const fields: string[] = []
  let field = ''
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string
    if (quoted && char === '"' && text[at + 1] === '"') {
      field += '"'
      at++
    } else if (char === '"' && (quoted || field === '')) quoted = !quoted
    else if (char === ',' && !quoted) {
      fields.push(field)
      field = ''
    } else field += char
  }
  return [...fields, field]
}

/** `key=value` fields; a field without `=` has the value undefined. */
export function keyValues(text: string): (readonly [string, string | undefined])[] {
  return csvFields(text).map((field) => splitOnce(field, '='))
}

export function splitOnce(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}
