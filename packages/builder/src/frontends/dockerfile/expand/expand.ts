/**
 * Variables, quotes and escapes in the words of a Dockerfile: what a POSIX shell does to a word, without commands, and
 * with BuildKit's modifiers, messages and peculiarities.
 */
import { runLexer } from './lexer.ts'
import type { Environment, Expansion, ExpandOptions } from './types.ts'

/** Variables from `NAME=value` lines; a later line wins. */
export function createEnvironment(lines: Iterable<string>): Environment {
  const values = new Map<string, string>()
  for (const line of lines) {
    const at = line.indexOf('=')
    if (at === -1) values.set(line, '')
    else values.set(line.slice(0, at), line.slice(at + 1))
  }
  return { get: (name) => values.get(name), keys: () => values.keys() }
}

const NOTHING: ReadonlySet<string> = new Set()

/**
 * Expands one word: `$name`, `${name}` and its modifiers, quotes and escapes.
 * @throws BuilderError `OCI_DOCKERFILE_INVALID` with BuildKit's wording, such as `failed to process "${": syntax error: missing '}'`.
 * @example expandWord('${NAME:-nobody}', createEnvironment([])).text // 'nobody'
 */
export function expandWord(word: string, environment: Environment, options: ExpandOptions = {}): Expansion {
  if (isPlain(word, options)) return { text: word, matched: NOTHING, unmatched: NOTHING }
  return runLexer(word, environment, options, false)
}

/**
 * Expands a word and cuts the result at white space outside quotes, also at white space that comes from a variable.
 * @throws BuilderError as {@link expandWord}.
 */
export function expandWords(word: string, environment: Environment, options: ExpandOptions = {}): readonly string[] {
  return runLexer(word, environment, options, true).words
}

// Most words of most files hold nothing to expand. U+FEFF is dropped at the beginning of a word.
function isPlain(word: string, options: ExpandOptions): boolean {
  const escape = (options.escape ?? '\\').charCodeAt(0)
  for (let at = 0; at < word.length; at++) {
    const code = word.charCodeAt(at)
    if (code === 0x24 || code === 0x22 || code === 0x27 || code === escape || code >= 0xd800) return false
  }
  return true
}
