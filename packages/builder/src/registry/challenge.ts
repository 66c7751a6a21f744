/** One way in that a server offers (RFC 9110 section 11.6.1). */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>
}

const MAX_HEADER_LENGTH = 8192
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const QUOTED = /"((?:[^"\\]|\\.)*)"/y
// Wider than the grammar: some servers leave out the quotes around a URL.
const UNQUOTED = /[^\s,"]+/y
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y

/** Reads `WWW-Authenticate` headers, several challenges in one or in many; what is malformed is left out. */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const values = header === undefined ? [] : typeof header === 'string' ? [header] : header
  return values.flatMap((value) => parseOne(value.slice(0, MAX_HEADER_LENGTH)))
}

function parseOne(text: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match !== null) at = pattern.lastIndex
    return match ?? undefined
  }
  const skip = (characters: string): void => {
    while (at < text.length && characters.includes(text[at]!)) at++
  }
  for (;;) {
    skip(', \t')
    const name = take(TOKEN)?.[0]
    if (name === undefined) return challenges
    skip(' \t')
    if (text[at] === '=' && challenges.length > 0) {
      at++
      skip(' \t')
      const value = take(QUOTED)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? take(UNQUOTED)?.[0]
      if (value === undefined) return challenges
      // A parameter given twice: the first stands, so that nothing appended later overrides it.
      challenges.at(-1)!.parameters[name.toLowerCase()] ??= value
      continue
    }
    // Not followed by `=`: a new scheme, perhaps with a token68 (`Negotiate abc==`) that no scheme of ours uses.
    challenges.push({ scheme: name.toLowerCase(), parameters: Object.create(null) as Record<string, string> })
    take(TOKEN68)
  }
}
