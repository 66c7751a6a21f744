/** Build arguments that no ARG takes: most often a misspelt name. */
import type { BuildWarning } from '../../../base/progress.ts'
import type { ParsedDockerfile, StageInstruction } from '../read/ast.ts'
import { findSuggestion } from '../../../base/suggest.ts'
import { lowerCase } from '../../../base/text.ts'
import { PROXIES } from './global-args.ts'
import type { StageTable } from './stage-table.ts'

// Those of the platform need no ARG in FROM; those of the builder itself none at all.
const BUILT_IN =
  /^(?:(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)|TARGETSTAGE|SOURCE_DATE_EPOCH|BUILDKIT_.*)$/

/**
 * One warning for all of them, in the words of Docker's classic builder (BuildKit says nothing). An ARG of a stage that is
 * not built counts: one set of arguments serves several targets.
 */
export function unusedArgsWarning(
  parsed: ParsedDockerfile,
  table: StageTable,
  buildArgs: ReadonlyMap<string, string>,
): BuildWarning[] {
  const unknown = [...buildArgs.keys()].filter(
    (name) => !BUILT_IN.test(name) && !Object.hasOwn(PROXIES, lowerCase(name)),
  )
  if (unknown.length === 0) return []
  // Triggers of bases are among the commands of a stage.
  const commands = table.list.flatMap((stage) => stage.commands.map(({ instruction }) => instruction))
  const declared = declaredIn([
    ...parsed.metaArgs,
    ...parsed.stages.flatMap((stage) => stage.instructions),
    ...commands,
  ])
  const unused = unknown.filter((name) => !declared.has(name)).sort()
  if (unused.length === 0) return []
  const meant = unused.map((name) => findSuggestion(name, [...declared], { caseSensitive: true })).filter(Boolean)
  const question = meant.length === 0 ? '' : ` (did you mean ${meant.join(', ')}?)`
  return [
    {
      rule: '',
      message: `One or more build-args [${unused.join(' ')}] were not consumed${question}`,
      detail: 'The Dockerfile has no ARG of that name.',
    },
  ]
}

function declaredIn(instructions: readonly StageInstruction[]): Set<string> {
  const names = new Set<string>()
  for (const instruction of instructions)
    if (instruction.kind === 'arg') for (const { key } of instruction.definitions) names.add(key)
  return names
}
