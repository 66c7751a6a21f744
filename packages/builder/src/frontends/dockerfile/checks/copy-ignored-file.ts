import type { SourceRange } from '../../../base/source.ts'
import { quote } from '../../../base/text.ts'
import { cleanPath } from '../read/path.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const copyIgnoredFile: CheckRule = {
  name: 'CopyIgnoredFile',
  description: 'Attempting to Copy file that is excluded by .dockerignore',
  url: documentationOf('copy-ignored-file'),
}

/** Patterns of the context's ignore file, and whether a path or a parent of it is excluded by them. */
export interface IgnoredPaths {
  readonly patterns: readonly string[]
  isExcluded(path: string): boolean
}

/** Patterns that leave nothing of the root. */
const EVERYTHING = new Set(['*', '**', '**/*'])

/** With a negation among the patterns nobody can tell without looking at the files, so nothing is said. */
export function checkCopyIgnoredFile(
  verb: 'Add' | 'Copy',
  source: string,
  ignored: IgnoredPaths | undefined,
  location: SourceRange,
  linter: Linter,
): void {
  if (ignored === undefined || ignored.patterns.some((pattern) => pattern.startsWith('!'))) return
  const path = cleanPath(source)
  const isRoot = path === '.' || path === '/'
  const isExcluded = isRoot ? ignored.patterns.some((pattern) => EVERYTHING.has(pattern)) : ignored.isExcluded(path)
  if (isExcluded)
    linter.report(
      copyIgnoredFile,
      location,
      `Attempting to ${verb} file ${quote(path)} that is excluded by .dockerignore`,
    )
}
