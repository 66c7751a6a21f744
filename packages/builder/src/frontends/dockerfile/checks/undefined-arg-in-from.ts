import type { SourceRange } from '../../../base/source.ts'
import { findSuggestion } from '../../../base/suggest.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const undefinedArgInFrom: CheckRule = {
  name: 'UndefinedArgInFrom',
  description: 'FROM command must use declared ARGs',
  url: documentationOf('undefined-arg-in-from'),
}

export function checkUndefinedArgInFrom(
  unmatched: Iterable<string>,
  declared: ReadonlySet<string>,
  location: SourceRange,
  linter: Linter,
): void {
  for (const name of unmatched) {
    if (declared.has(name)) continue
    const suggestion = findSuggestion(name, [...declared], { caseSensitive: true })
    const hint = suggestion ? ` (did you mean ${suggestion}?)` : ''
    linter.report(undefinedArgInFrom, location, `FROM argument '${name}' is not declared${hint}`)
  }
}
