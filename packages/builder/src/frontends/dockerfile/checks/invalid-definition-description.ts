import type { SourceRange } from '../../../base/source.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const invalidDefinitionDescription: CheckRule = {
  name: 'InvalidDefinitionDescription',
  description:
    'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.',
  url: documentationOf('invalid-definition-description'),
  experimental: true,
}

export function checkInvalidDefinitionDescription(
  keyword: 'ARG' | 'FROM',
  names: readonly string[],
  comments: readonly string[],
  location: SourceRange,
  linter: Linter,
): void {
  const first = comments.at(-1)?.split(' ', 1)[0]
  if (first === undefined || names.length === 0 || names.includes(first)) return
  const name = names.length > 1 ? '<arg_key>' : names[0]
  linter.report(
    invalidDefinitionDescription,
    location,
    `Comment for ${keyword} should follow the format: \`# ${name} <description>\``,
  )
}
