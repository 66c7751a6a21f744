/** What a build check is, and who decides whether it speaks. */
import type { SourceRange } from '../../../base/source.ts'

export interface CheckRule {
  /** As `skip=` and messages name it. */
  readonly name: string
  readonly description: string
  /** Absent when BuildKit has no page for it. */
  readonly url?: string
  /** Speaks only where it is asked for by name. */
  readonly experimental?: boolean
}

/** Something that a rule found. */
export interface CheckFinding {
  readonly rule: CheckRule
  readonly message: string
  readonly location: SourceRange
}

export interface Linter {
  /** Tells a finding, unless the rule is skipped here. */
  report(rule: CheckRule, location: SourceRange, message: string): void
  /** The linter for an instruction with these comments above it; a `# check=` among them changes what is skipped. */
  forComments(comments: readonly string[]): Linter
}

/** Where BuildKit's documentation explains a rule. */
export function documentationOf(page: string): string {
  return `https://docs.docker.com/go/dockerfile/rule/${page}/`
}
