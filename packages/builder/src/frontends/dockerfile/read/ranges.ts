/**
 * Where the parts of an instruction stand. Only errors, warnings and tools ask, so it is computed when asked, by
 * dockerfile-ast on the one instruction that is meant. What dockerfile-ast reads otherwise than BuildKit (quotes in
 * flags, spaces in JSON strings, several kinds of heredocs) is found by searching the joined line instead.
 */
import { createRequire } from 'node:module'
import type { DockerfileParser, Instruction as AstInstruction, JSONInstruction } from 'dockerfile-ast'
import { offsetAt, rangeBetween, type SourceRange } from '../../../base/source.ts'
import type { InstructionRanges, RawInstruction } from './ast.ts'
import { cutFlags } from './flags.ts'
import { cutContinuation, isBlankLine, isCommentLine, trimLineEnd } from './lines.ts'
import { readJsonString } from './words.ts'

type AstRange = ReturnType<AstInstruction['getRange']>

/** Offsets in the file, end exclusive. */
type Span = readonly [start: number, end: number]

// Not a field of the instruction: that is plain data, compared and printed as JSON, and most never have their ranges asked.
const known = new WeakMap<RawInstruction, InstructionRanges>()

/** The places of an instruction's keyword, flags and arguments. Where one cannot be told, the whole instruction is given. */
export function rangesOf(instruction: RawInstruction): InstructionRanges {
  let ranges = known.get(instruction)
  if (ranges === undefined) {
    ranges = computeRanges(instruction)
    known.set(instruction, ranges)
  }
  return ranges
}

function computeRanges(raw: RawInstruction): InstructionRanges {
  const { file } = raw.location
  const start = offsetAt(file, raw.location.start)
  const text = textWithoutBodies(raw, start)
  const node = parseNode(text, raw)
  const joined = joinWithOffsets(text, start, raw)
  const toRange = (span: Span | undefined): SourceRange =>
    span === undefined ? raw.location : rangeBetween(file, span[0], span[1])
  const shift = shiftBy(raw)
  const keyword: Span = [start, start + raw.keyword.length]
  return {
    keyword: node?.getInstruction() === raw.keyword ? toRange(shift(node.getInstructionRange())) : toRange(keyword),
    flags: flagSpans(raw, node, joined, shift).map(toRange),
    args: argumentSpans(raw, node, joined, shift).map(toRange),
  }
}

function textWithoutBodies({ location, heredocs }: RawInstruction, start: number): string {
  const bodyLines = heredocs.reduce((sum, { content }) => sum + content.split('\n').length, 0)
  const lastLine = location.end.line - bodyLines
  return location.file.text.slice(start, location.file.lineStarts[lastLine] ?? undefined)
}

function directiveFor({ escape }: RawInstruction): string {
  return escape === '\\' ? '' : `# escape=${escape}\n`
}

// Loaded on first use: most builds never ask for a column.
function parseNode(text: string, raw: RawInstruction): AstInstruction | undefined {
  const library = createRequire(import.meta.url)('dockerfile-ast') as { DockerfileParser: typeof DockerfileParser }
  return library.DockerfileParser.parse(directiveFor(raw) + text).getInstructions()[0]
}

type Shift = (range: AstRange | null) => Span | undefined

// The node's positions count from the instruction's first character, and from 0.
function shiftBy(raw: RawInstruction): Shift {
  const { file, start } = raw.location
  const directiveLines = directiveFor(raw) === '' ? 0 : 1
  const toOffset = ({ line, character }: { line: number; character: number }): number => {
    const row = line - directiveLines
    return offsetAt(file, { line: start.line + row, column: (row === 0 ? start.column : 1) + character })
  }
  return (range) => (range === null ? undefined : [toOffset(range.start), toOffset(range.end)])
}

/** The instruction in one line, and where each of its characters comes from. */
interface Joined {
  readonly text: string
  readonly offsets: readonly number[]
  readonly source: string
}

function joinWithOffsets(text: string, start: number, raw: RawInstruction): Joined {
  const parts: string[] = []
  const offsets: number[] = []
  let offset = start
  for (const [index, line] of text.split(/(?<=\n)/).entries()) {
    const content = trimLineEnd(line)
    if (index === 0 || !(isCommentLine(line) || isBlankLine(line))) {
      const part = cutContinuation(content, raw.escape) ?? content
      parts.push(part)
      for (let at = 0; at < part.length; at++) offsets.push(offset + at)
    }
    offset += line.length
  }
  return { text: parts.join(''), offsets, source: raw.location.file.text }
}

function flagSpans(
  raw: RawInstruction,
  node: AstInstruction | undefined,
  joined: Joined,
  shift: Shift,
): (Span | undefined)[] {
  const nodes = (node as JSONInstruction | undefined)?.getFlags?.() ?? []
  const spans = nodes.map((flag) => shift(flag.getRange()))
  const isRight =
    spans.length === raw.flags.length &&
    spans.every((span, index) => cutFlags(textAt(joined, span), raw.escape).flags[0] === raw.flags[index])
  return isRight ? spans : search(joined, raw.flags, raw.keyword.length)
}

function argumentSpans(
  raw: RawInstruction,
  node: AstInstruction | undefined,
  joined: Joined,
  shift: Shift,
): (Span | undefined)[] {
  const words = writtenWords(raw)
  const spans = argumentNodes(raw, node).map(shift)
  const isRight =
    spans.length === words.length && spans.every((span, index) => reads(raw, textAt(joined, span), words[index]!))
  return isRight
    ? spans
    : search(joined, raw.json ? raw.args.map((word) => JSON.stringify(word)) : words, raw.keyword.length)
}

// Separators of ENV and LABEL are no words of their own.
function writtenWords({ keyword, args }: RawInstruction): readonly string[] {
  return /^(?:env|label)$/i.test(keyword) ? args.filter((_, index) => index % 3 !== 2) : args
}

function argumentNodes(raw: RawInstruction, node: AstInstruction | undefined): AstRange[] {
  if (node === undefined) return []
  if (raw.json) return (node as JSONInstruction).getJSONStrings?.().map((word) => word.getRange()) ?? []
  return node.getArguments().map((word) => word.getRange())
}

function reads(raw: RawInstruction, written: string, word: string): boolean {
  return raw.json ? readJsonString(written) === word : written === word
}

// Text of a span with its continuations taken out.
function textAt(joined: Joined, span: Span | undefined): string {
  if (span === undefined) return ''
  const first = joined.offsets.findIndex((offset) => offset >= span[0])
  if (first === -1) return ''
  const after = joined.offsets.findIndex((offset) => offset >= span[1])
  return joined.text.slice(first, after === -1 ? undefined : after)
}

function search({ text, offsets }: Joined, words: readonly string[], from: number): (Span | undefined)[] {
  let cursor = from
  return words.map((word) => {
    const at = word === '' ? -1 : text.indexOf(word, cursor)
    if (at === -1) return undefined
    cursor = at + word.length
    return [offsets[at]!, offsets[cursor - 1]! + 1]
  })
}
