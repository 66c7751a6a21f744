/** Ways to cut and to read arguments that several keywords share, and the words for what can be wrong with them. */
import type { CommandLine, KeyValue, RawInstruction, SourceContent, SourcesAndDestination } from './ast.ts'
import { Complaint } from '../expand/complaint.ts'
import { chompTabs, findHeredocStart } from './heredoc.ts'
import type { CutArguments, CutContext } from './syntax.ts'
import { quote } from '../../../base/text.ts'
import { cutAtBlanks, parseJsonForm, splitBlanks, splitWords } from './words.ts'

/** The whole text is one argument. */
export function cutWhole(rest: string): CutArguments {
  return { args: rest === '' ? [] : [rest] }
}

/** Words between blanks. */
export function cutBlanks(rest: string): CutArguments {
  return { args: splitBlanks(rest) }
}

/** A JSON array, else the whole text. */
export function cutCommand(rest: string): CutArguments {
  const elements = parseJsonForm(rest)
  return elements === undefined ? cutWhole(rest) : { args: elements, json: true }
}

/** A JSON array, else words between blanks. */
export function cutList(rest: string): CutArguments {
  const elements = parseJsonForm(rest)
  return elements === undefined ? cutBlanks(rest) : { args: elements, json: true }
}

/** `name=value` words, or the old form `name value`; gives name, value and separator in turn. */
export function cutPairs(rest: string, keyword: string, context: CutContext): CutArguments {
  const words = splitWords(rest, context.escape)
  if (words.length === 0) return { args: [] }
  if (!words[0]!.includes('=')) {
    const [name, value] = cutAtBlanks(rest)
    if (value === undefined) throw new Complaint(`${keyword} must have two arguments`)
    return { args: [name, value, ''] }
  }
  return { args: words.flatMap(cutPair) }
}

function cutPair(word: string): string[] {
  const at = word.indexOf('=')
  if (at === -1) {
    throw new Complaint(`Syntax error - can't find = in ${quote(word)}. Must be of the form: name=value`)
  }
  return [word.slice(0, at), word.slice(at + 1), '=']
}

/** Reads what {@link cutPairs} cut. */
export function readPairs(raw: RawInstruction, keyword: string): KeyValue[] {
  if (raw.args.length === 0) throw atLeastOneArgument(keyword)
  const pairs: KeyValue[] = []
  for (let at = 0; at < raw.args.length; at += 3) {
    const key = raw.args[at]!
    if (key === '') throw blankNames(keyword)
    pairs.push({ key, value: raw.args[at + 1] ?? '', noDelimiter: raw.args[at + 2] === '' })
  }
  return pairs
}

/** Reads a shell form, a JSON form and here-documents. */
export function readCommandLine(raw: RawInstruction): CommandLine {
  return {
    args: commandWords(raw.args, raw.json),
    prependShell: !raw.json,
    files: raw.heredocs.map(({ name, content, chomp }) => ({ name, data: content, chomp })),
  }
}

/** The arguments of a JSON form, or the one string of a shell form. */
export function commandWords(args: readonly string[], json: boolean): readonly string[] {
  return json || args.length === 0 ? args : [args.join(' ')]
}

/** Reads the sources and the destination of ADD and COPY. */
export function readSourcesAndDestination(raw: RawInstruction, keyword: string): SourcesAndDestination {
  const destination = raw.args.at(-1)!
  if (findHeredocStart(destination) !== undefined) {
    throw new Complaint(`${keyword} cannot accept a heredoc as a destination`)
  }
  const sourcePaths: string[] = []
  const sourceContents: SourceContent[] = []
  for (const source of raw.args.slice(0, -1)) {
    const start = findHeredocStart(source)
    if (start === undefined) sourcePaths.push(source)
    else {
      const content = raw.heredocs.findLast(({ name }) => name === start.name)?.content ?? ''
      sourceContents.push({
        path: start.name,
        data: start.chomp ? chompTabs(content) : content,
        expand: start.expand,
      })
    }
  }
  return { sourcePaths, sourceContents, destination }
}

/** The description in a comment `# name description`; empty when there is none. */
export function findDocComment(comments: readonly string[], name: string): string {
  if (name === '') return ''
  const comment = comments.find((line) => line.startsWith(`${name} `))
  return comment === undefined ? '' : comment.slice(name.length + 1)
}

export function requireOneArgument(raw: RawInstruction, keyword: string): string {
  if (raw.args.length !== 1) throw new Complaint(`${keyword} requires exactly one argument`)
  return raw.args[0]!
}

export function requireArguments(raw: RawInstruction, keyword: string): void {
  if (raw.args.length === 0) throw atLeastOneArgument(keyword)
}

export function requireDestination(raw: RawInstruction, keyword: string): void {
  if (raw.args.length >= 2) return
  throw new Complaint(
    `${keyword} requires at least two arguments, but only one was provided. Destination could not be determined`,
  )
}

export function atLeastOneArgument(keyword: string): Complaint {
  return new Complaint(`${keyword} requires at least one argument`)
}

export function blankNames(keyword: string): Complaint {
  return new Complaint(`${keyword} names can not be blank`)
}
