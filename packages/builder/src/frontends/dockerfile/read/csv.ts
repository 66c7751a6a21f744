import { Complaint } from '../expand/complaint.ts'

const BARE_QUOTE = 'bare " in non-quoted field'
const WRONG_QUOTE = 'extraneous or missing " in quoted-field'

/**
 * Cuts one line of comma separated values; a field in double quotes may hold commas, and `""` for a quote.
 * @throws Complaint with the wording of Go's reader.
 */
export function parseCsvFields(line: string): string[] {
  const text = line.replace(/\r?\n$/, '')
  if (text === '') throw new Complaint('EOF')
  const fields: string[] = []
  let at = 0
  for (;;) {
    const [field, end] = text[at] === '"' ? readQuoted(text, at) : readBare(text, at)
    fields.push(field)
    if (end >= text.length) return fields
    at = end + 1
  }
}

function readBare(text: string, start: number): [field: string, end: number] {
  const comma = text.indexOf(',', start)
  const end = comma === -1 ? text.length : comma
  const mark = text.indexOf('"', start)
  if (mark !== -1 && mark < end) throw csvError(text, mark, BARE_QUOTE)
  return [text.slice(start, end), end]
}

function readQuoted(text: string, start: number): [field: string, end: number] {
  let field = ''
  for (let at = start + 1; ;) {
    const mark = text.indexOf('"', at)
    if (mark === -1) throw csvError(text, at, WRONG_QUOTE)
    field += text.slice(at, mark)
    const following = text[mark + 1]
    if (following === undefined || following === ',') return [field, mark + 1]
    if (following !== '"') throw csvError(text, mark, WRONG_QUOTE)
    field += '"'
    at = mark + 2
  }
}

// Columns count bytes.
function csvError(text: string, at: number, problem: string): Complaint {
  return new Complaint(`parse error on line 1, column ${Buffer.byteLength(text.slice(0, at)) + 1}: ${problem}`)
}
