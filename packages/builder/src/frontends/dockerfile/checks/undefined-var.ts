import type { SourceRange } from '../../../base/source.ts'
import { findSuggestion } from '../../../base/suggest.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const undefinedVar: CheckRule = {
  name: 'UndefinedVar',
  description: 'Variables should be defined before their use',
  url: documentationOf('undefined-var'),
}

/** `declared`: arguments without a value count as defined. */
export function checkUndefinedVar(
  unmatched: Iterable<string>,
  declared: (name: string) => boolean,
  known: () => readonly string[],
  location: SourceRange,
  linter: Linter,
): void {
  for (const name of unmatched) {
    if (declared(name)) continue
    const suggestion = findSuggestion(name, known(), { caseSensitive: true })
    const hint = suggestion ? ` (did you mean $${suggestion}?)` : ''
    linter.report(undefinedVar, location, `Usage of undefined variable '$${name}'${hint}`)
  }
}
