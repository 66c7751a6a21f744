/** The first half of parsing: from the text to instructions whose arguments are cut, but mean nothing yet. */
import type { BuilderError } from '../../../base/errors.ts'
import { createSourceFile, lineText, rangeOfLines, type SourceFile, type SourceRange } from '../../../base/source.ts'
import type { Directive, Heredoc, Keyword, ParseWarning, RawInstruction } from './ast.ts'
import type { EscapeToken } from '../expand/types.ts'
import { createDirectiveReader, readEscapeToken, type DirectiveName } from './directives.ts'
import { dockerfileError } from './errors.ts'
import { Complaint, isComplaint } from '../expand/complaint.ts'
import { cutFlags } from './flags.ts'
import { findHeredocs } from './heredoc.ts'
import { INSTRUCTIONS } from './instructions/list.ts'
import {
  createLineReader,
  cutContinuation,
  indentation,
  isBlankLine,
  isCommentLine,
  MAX_LINE_BYTES,
  trimLineEnd,
  type LineReader,
} from './lines.ts'
import type { InstructionSyntax } from './syntax.ts'
import { lowerCase, trimSpace } from '../../../base/text.ts'
import { cutAtBlanks } from './words.ts'

/** A file cut into instructions. */
export interface SplitDockerfile {
  readonly source: SourceFile
  readonly directives: { readonly [N in DirectiveName]?: Directive }
  readonly escapeToken: EscapeToken
  readonly instructions: readonly RawInstruction[]
  readonly warnings: readonly ParseWarning[]
  /** What cannot be read; without `collect` the first of it only. */
  readonly errors: readonly BuilderError[]
}

export interface SplitOptions {
  /** Name of the file in errors, `Dockerfile` by default. */
  readonly name?: string
  /** Go on behind an error, to find them all. */
  readonly collect?: boolean
}

interface Splitter {
  readonly source: SourceFile
  readonly reader: LineReader
  readonly directives: { [N in DirectiveName]?: Directive }
  readonly instructions: RawInstruction[]
  readonly warnings: ParseWarning[]
  readonly errors: BuilderError[]
  escapeToken: EscapeToken
  comments: string[]
}

/**
 * Cuts a Dockerfile into instructions. Errors are returned and not thrown, because their order is BuildKit's: what is
 * wrong with any line comes before what is wrong with any instruction.
 */
export function splitDockerfile(
  text: string,
  { name = 'Dockerfile', collect = false }: SplitOptions = {},
): SplitDockerfile {
  const source = createSourceFile(name, text)
  const splitter: Splitter = {
    source,
    reader: createLineReader(source),
    directives: {},
    instructions: [],
    warnings: [],
    errors: [],
    escapeToken: '\\',
    comments: [],
  }
  const directiveReader = createDirectiveReader()
  for (let line = splitter.reader.next(); line !== undefined; line = splitter.reader.next()) {
    const content = splitter.reader.line === 1 && line.startsWith('\ufeff') ? line.slice(1) : line
    const isDirective = attempt(splitter, () => readDirective(splitter, directiveReader, content))
    if (isCommentLine(content)) {
      if (isDirective !== true) addComment(splitter, content)
    } else if (!isBlankLine(content)) readInstruction(splitter, trimLineEnd(content).slice(indentation(content)))
    if (splitter.errors.length > 0 && !collect) break
  }
  addEndErrors(splitter, collect)
  return splitter
}

function addEndErrors(splitter: Splitter, collect: boolean): void {
  if (splitter.errors.length > 0 && !collect) return
  const { reader, source, instructions, errors } = splitter
  const here = rangeOfLines(source, Math.max(reader.line, 1), Math.max(reader.line, 1))
  if (instructions.length === 0 && errors.length === 0) errors.push(dockerfileError('file with no instructions', here))
  else if (reader.tooLong) {
    const place = rangeOfLines(source, reader.line + 1, reader.line + 1)
    const message = `dockerfile line greater than max allowed size of ${MAX_LINE_BYTES}`
    errors.push(dockerfileError(message, place, { frame: here }))
  }
}

// Runs a part that complains, and gives the complaint its place: the lines from `firstLine` to where reading stands.
function attempt<T>(splitter: Splitter, part: () => T, firstLine = splitter.reader.line): T | undefined {
  try {
    return part()
  } catch (error) {
    if (!isComplaint(error)) throw error
    const range = rangeOfLines(splitter.source, firstLine, splitter.reader.line)
    splitter.errors.push(dockerfileError(error.message, range))
    return undefined
  }
}

function readDirective(splitter: Splitter, reader: ReturnType<typeof createDirectiveReader>, line: string): boolean {
  const directive = reader.read(trimLineEnd(line).slice(indentation(line)))
  if (directive === undefined) return false
  const lineNumber = splitter.reader.line
  splitter.directives[directive.name] = {
    ...directive,
    location: rangeOfLines(splitter.source, lineNumber, lineNumber),
  }
  if (directive.name === 'escape') splitter.escapeToken = readEscapeToken(directive.value)
  return true
}

// One character is dropped, not the `#`: an indented comment keeps its `#` and so describes nothing.
function addComment(splitter: Splitter, line: string): void {
  const comment = trimSpace(line.slice(1))
  if (comment === '') splitter.comments = []
  else splitter.comments.push(comment)
}

interface JoinedLine {
  readonly text: string
  readonly firstLine: number
  readonly emptyLines: readonly number[]
}

function readInstruction(splitter: Splitter, firstContent: string): void {
  const joined = joinLines(splitter, firstContent)
  const { source, reader, comments } = splitter
  splitter.comments = []
  if (joined.emptyLines.length > 0) splitter.warnings.push(emptyContinuation(splitter, joined))
  const range = instructionRange(source, joined.firstLine, reader.line)
  const raw = attempt(splitter, () => cutInstruction(joined.text, splitter.escapeToken, range), joined.firstLine)
  if (raw === undefined) return
  const heredocs = attempt(splitter, () => readHeredocs(splitter, raw, joined), joined.firstLine)
  if (heredocs === undefined) return
  const location = heredocs.length === 0 ? range : instructionRange(source, joined.firstLine, reader.line)
  splitter.instructions.push({ ...raw, heredocs, comments, location })
}

// Lines are joined as they are: the next line's indentation is kept, and a word may go on in it.
function joinLines({ reader, escapeToken }: Splitter, firstContent: string): JoinedLine {
  const firstLine = reader.line
  const emptyLines: number[] = []
  let part = cutContinuation(firstContent, escapeToken)
  if (part === undefined) return { text: firstContent, firstLine, emptyLines }
  const parts = [part]
  while (part !== undefined) {
    const line = reader.next()
    if (line === undefined) break
    if (isCommentLine(line)) continue
    if (isBlankLine(line)) {
      emptyLines.push(reader.line)
      continue
    }
    const content = trimLineEnd(line)
    part = cutContinuation(content, escapeToken)
    parts.push(part ?? content)
  }
  return { text: parts.join(''), firstLine, emptyLines }
}

function emptyContinuation({ source, reader }: Splitter, { text, emptyLines }: JoinedLine): ParseWarning {
  return {
    rule: 'NoEmptyContinuation',
    message: `Empty continuation line found in: ${text}`,
    detail: 'Empty continuation lines will become errors in a future release',
    url: 'https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/',
    location: rangeOfLines(source, reader.line, reader.line),
    lines: emptyLines,
  }
}

function instructionRange(source: SourceFile, firstLine: number, lastLine: number): SourceRange {
  const whole = rangeOfLines(source, firstLine, lastLine)
  const indent = indentation(lineText(source, firstLine).replace(/^\ufeff/, ' '))
  return { ...whole, start: { line: firstLine, column: indent + 1 } }
}

function syntaxOf(keyword: string): InstructionSyntax | undefined {
  const name = lowerCase(keyword)
  return Object.hasOwn(INSTRUCTIONS, name) ? INSTRUCTIONS[name as Keyword] : undefined
}

/** ONBUILD within ONBUILD is refused later; how deep it goes must not matter to the stack. */
const MAX_NESTING = 20

function cutInstruction(line: string, escape: EscapeToken, location: SourceRange, depth = 0): RawInstruction {
  const [keyword, behind] = cutAtBlanks(trimSpace(line))
  const { flags, rest } = behind === undefined ? { flags: [], rest: '' } : cutFlags(behind, escape)
  const context = { escape, cutInstruction: (inner: string) => cutInstruction(inner, escape, location, depth + 1) }
  const syntax = depth < MAX_NESTING ? syntaxOf(keyword) : undefined
  const cut = syntax?.cut(trimSpace(rest), context) ?? { args: [] }
  return {
    keyword,
    flags,
    args: cut.args,
    json: cut.json ?? false,
    heredocs: [],
    original: line,
    comments: [],
    location,
    escape,
    ...(cut.child && { child: cut.child }),
  }
}

function readHeredocs({ reader }: Splitter, raw: RawInstruction, { text }: JoinedLine): Heredoc[] {
  const inner = syntaxOf(raw.keyword)?.wrapsInstruction === true ? raw.child : raw
  if (inner === undefined || inner.json || !text.includes('<<')) return []
  if (syntaxOf(inner.keyword)?.takesHeredocs !== true) return []
  return findHeredocs(text).map((start) => ({ ...start, content: readBody(reader, start) }))
}

function readBody(reader: LineReader, { name, chomp }: Pick<Heredoc, 'name' | 'chomp'>): string {
  const lines: string[] = []
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    const content = trimLineEnd(line)
    if ((chomp ? content.replace(/^\t+/, '') : content) === name) return lines.join('')
    lines.push(line)
  }
  throw new Complaint('unterminated heredoc')
}
