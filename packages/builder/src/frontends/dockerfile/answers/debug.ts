/**
 * The frontend as a tool sees it: one JSON document in, one out. Each function takes a line of input and gives the line
 * of output; it never throws.
 */
import { createIgnoreMatcher, parseIgnoreFile } from '../../../patterns/ignore.ts'
import { isTsOciError } from '../../../base/errors.ts'
import { compareBytes, lowerCase } from '../../../base/text.ts'
import type { RawInstruction } from '../read/ast.ts'
import type { EscapeToken } from '../expand/types.ts'
import { createEnvironment, expandWord, expandWords } from '../expand/expand.ts'
import { parseInstructions } from '../read/parse.ts'

/**
 * Parses a Dockerfile: `{"dockerfile": TEXT}` gives
 * `{"ok": true, "instructions": [{cmd, flags, args, json, line, heredocs: [{name, content}], child?}]}` or
 * `{"ok": false, "error": MESSAGE}`. Arguments are cut as BuildKit's parser cuts them: ENV and LABEL give name, value
 * and separator in turn. Instructions need not belong to a stage.
 */
export function debugParse(input: string): string {
  return answer(input, (request) => ({
    instructions: parseInstructions(text(request, 'dockerfile')).map(describeInstruction),
  }))
}

interface DescribedInstruction {
  readonly cmd: string
  readonly flags: readonly string[]
  readonly args: readonly string[]
  readonly json: boolean
  readonly line: number
  readonly heredocs: readonly { readonly name: string; readonly content: string }[]
  readonly child?: DescribedInstruction
}

function describeInstruction(raw: RawInstruction): DescribedInstruction {
  const { child } = raw
  return {
    cmd: lowerCase(raw.keyword),
    flags: raw.flags,
    args: child === undefined ? raw.args : [],
    json: raw.json,
    line: raw.location.start.line,
    heredocs: raw.heredocs.map(({ name, content }) => ({ name, content })),
    ...(child !== undefined && { child: describeInstruction(child) }),
  }
}

/**
 * Expands a word: `{"word": S, "env": ["K=V"], "escape": "\\", "mode": "word" | "words" | "matches"}` gives
 * `{"ok": true, "result": S | [S], "unmatched": [NAME]}`; `words` gives a list.
 */
export function debugExpand(input: string): string {
  return answer(input, (request) => {
    const word = text(request, 'word')
    const environment = createEnvironment(list(request, 'env'))
    const mode = optional(request, 'mode', 'word', ['word', 'words', 'matches'])
    const escape = optional(request, 'escape', '\\', ['\\', '`']) as EscapeToken
    const { text: result, unmatched } = expandWord(word, environment, { escape })
    return {
      result: mode === 'words' ? expandWords(word, environment, { escape }) : result,
      unmatched: [...unmatched].sort(compareBytes),
    }
  })
}

/**
 * Matches paths against an ignore file: `{"patterns": [S], "paths": [S]}` or `{"file": TEXT, "paths": [S]}` gives
 * `{"ok": true, "excluded": [BOOLEAN]}`, one for each path.
 */
export function debugIgnore(input: string): string {
  return answer(input, (request) => {
    const patterns = 'file' in request ? parseIgnoreFile(text(request, 'file')) : list(request, 'patterns')
    const matcher = createIgnoreMatcher(patterns)
    return { excluded: list(request, 'paths').map((path) => matcher.matches(path)) }
  })
}

type Request = Readonly<Record<string, unknown>>

/** The document that came in is not what the tool expects. */
class InvalidRequest extends Error {}

function answer(input: string, respond: (request: Request) => Readonly<Record<string, unknown>>): string {
  try {
    return JSON.stringify({ ok: true, ...respond(readRequest(input)) })
  } catch (error) {
    if (isTsOciError(error) || error instanceof InvalidRequest) {
      return JSON.stringify({ ok: false, error: error.message })
    }
    throw error
  }
}

function readRequest(input: string): Request {
  let request: unknown
  try {
    request = JSON.parse(input)
  } catch {
    throw new InvalidRequest('the input is not JSON')
  }
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    throw new InvalidRequest('the input is not a JSON object')
  }
  return request as Request
}

function text(request: Request, name: string): string {
  const value = request[name]
  if (typeof value !== 'string') throw new InvalidRequest(`"${name}" must be a string`)
  return value
}

function list(request: Request, name: string): string[] {
  const value = request[name] ?? []
  if (!Array.isArray(value) || !value.every((element) => typeof element === 'string')) {
    throw new InvalidRequest(`"${name}" must be a list of strings`)
  }
  return value
}

function optional(request: Request, name: string, fallback: string, allowed: readonly string[]): string {
  const value = request[name] ?? fallback
  if (typeof value !== 'string' || !allowed.includes(value)) {
    throw new InvalidRequest(`"${name}" must be one of ${allowed.join(', ')}`)
  }
  return value
}
