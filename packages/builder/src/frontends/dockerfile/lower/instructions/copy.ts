import type { AddInstruction, CopyInstruction } from '../../read/ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import type { InstructionContext, Lowering } from '../context.ts'
import { copyFiles, expandSources } from '../copy-files.ts'
import { joinPath } from '../../read/path.ts'
import type { Output } from '../pending.ts'

export const lowerCopy: Lowering<CopyInstruction> = (context, instruction) => {
  const { command } = context
  const chown = context.expand(instruction.chown)
  const chmod = context.expand(instruction.chmod)
  const files = expandSources(context, instruction)
  const from = command.sources[0]
  copyFiles(context, {
    ...files,
    keyword: 'COPY',
    source: sourceOf(context, instruction),
    readsContext: from === undefined,
    chown,
    chmod,
    link: instruction.link,
    parents: instruction.parents,
    excludePatterns: instruction.excludePatterns,
    ...(instruction.includePatterns === undefined ? {} : { includePatterns: instruction.includePatterns }),
    keepGitDir: undefined,
    checksum: '',
    unpack: undefined,
  })
  const paths = from === undefined ? context.stage.contextPaths : from.paths
  for (const path of files.sourcePaths) paths.add(joinPath('/', path))
}

/** What COPY or ADD reads. @throws Complaint */
export function sourceOf(
  { command, contextOutput, stage }: InstructionContext,
  { from }: CopyInstruction | AddInstruction,
): Output | undefined {
  const source = command.sources[0]
  if (source === undefined) return contextOutput
  if (!source.phase.isDispatched) {
    throw new Complaint(
      `cannot copy from stage "${from}", it needs to be defined before current stage "${stage.displayName}"`,
    )
  }
  return source.state.output
}
