/**
 * From instructions back to text. Parsing the result gives equal instructions: same keywords, flags, arguments,
 * heredocs and comments, at other places.
 */
import type { Directives, ParsedDockerfile, RawInstruction } from './ast.ts'
import type { EscapeToken } from '../expand/types.ts'
import { MAX_LINE_BYTES } from './lines.ts'
import { decodeText, isAscii, isSpaceCode } from '../../../base/text.ts'
import { parseJsonForm } from './words.ts'

/** Prints a whole file. */
export function printDockerfile(dockerfile: ParsedDockerfile): string {
  const { directives, metaArgs, stages } = dockerfile
  const instructions = [...metaArgs, ...stages.flatMap(({ from, instructions }) => [from, ...instructions])]
  return printInstructions(instructions, directives)
}

/** Prints instructions in the given order, directives first. */
export function printInstructions(instructions: readonly RawInstruction[], directives: Directives = {}): string {
  const head = (['syntax', 'escape', 'check'] as const).flatMap((name) => {
    const directive = directives[name]
    return directive === undefined ? [] : [`# ${name}=${directive.value}\n`]
  })
  // A first comment such as `# check=x` would be taken for a directive; an empty comment ends those.
  const separator = instructions[0]?.comments.length ? '#\n' : ''
  return head.join('') + separator + instructions.map(printInstruction).join('')
}

/** Prints one instruction with the comments above it. */
export function printInstruction(raw: RawInstruction): string {
  const comments = raw.comments.map((comment) => `# ${comment}\n`).join('')
  const bodies = raw.heredocs.map(({ content, name }) => `${content}${name}\n`).join('')
  return `${comments}${breakLines(printLine(raw), raw.escape)}\n${bodies}`
}

function printLine(raw: RawInstruction): string {
  const flags = raw.flags.map((flag) => printFlag(flag, raw.escape))
  const rest = printArguments(raw)
  // What begins like a flag but is an argument stands behind `--`.
  const separator = rest.startsWith('--') ? ['--'] : []
  const line = [raw.keyword, ...flags, ...separator, ...(rest === '' ? [] : [rest])].join(' ')
  // A form feed is no blank for continuation, and is trimmed from the instruction.
  return line.endsWith(raw.escape) ? `${line}\f` : line
}

function printArguments(raw: RawInstruction): string {
  const { args, child, json, keyword } = raw
  if (child !== undefined) return printLine(child)
  if (/^healthcheck$/i.test(keyword)) {
    const [type = '', ...rest] = args
    if (!json) return [type, ...rest].join(' ')
    return `${type} ${JSON.stringify(rest)}`
  }
  if (json) return JSON.stringify(args)
  if (/^(?:env|label)$/i.test(keyword)) return printPairs(args)
  const words = args.join(' ')
  // Words that only a blank which JSON does not know kept from being an array.
  return args.length > 1 && isJson(words) ? args.join('\v') : words
}

function isJson(text: string): boolean {
  try {
    return parseJsonForm(text) !== undefined
  } catch {
    return true
  }
}

function printPairs(args: readonly string[]): string {
  if (args[2] === '') return `${args[0]} ${args[1]}`
  const words: string[] = []
  for (let at = 0; at < args.length; at += 3) words.push(`${args[at]}=${args[at + 1]}`)
  return words.join(' ')
}

// Quoted so that two readers see the same: that of flags, and that of heredocs, which reads the whole line as a shell
// and with `\` whatever the file's escape is. A flag's characters are bytes (see `cutFlags`), so what is no ASCII is put
// together again.
function printFlag(flag: string, escape: EscapeToken): string {
  let result = ''
  for (const character of flag) {
    if (character === escape) result += escape + escape
    else if (character === "'") result += `"'"`
    else if (/["\\`$]/.test(character) || isSpaceCode(character.charCodeAt(0))) result += `'${character}'`
    else result += character
  }
  return isAscii(result) ? result : decodeText(Buffer.from(result, 'latin1'))
}

/** Lines are broken well below the limit, however many bytes their characters have. */
const BREAK_AT = Math.floor(MAX_LINE_BYTES / 3) - 2

// A line may be broken anywhere but behind an escape character, and where the next one would look like a comment or
// be blank.
function breakLines(line: string, escape: EscapeToken): string {
  const parts: string[] = []
  let start = 0
  while (line.length - start > BREAK_AT) {
    let end = start + BREAK_AT
    while (end > start + 1 && !canBreak(line, end, escape)) end--
    parts.push(line.slice(start, end))
    start = end
  }
  parts.push(line.slice(start))
  return parts.join(`${escape}\n`)
}

function canBreak(line: string, at: number, escape: EscapeToken): boolean {
  const next = line.charCodeAt(at)
  const isLowSurrogate = next >= 0xdc00 && next <= 0xdfff
  return line[at - 1] !== escape && line[at] !== '#' && !isSpaceCode(next) && !isLowSurrogate
}
