import type { AddInstruction } from '../../read/ast.ts'
import type { Lowering } from '../context.ts'
import { copyFiles, expandSources } from '../copy-files.ts'
import { sourceOf } from './copy.ts'
import { joinPath } from '../../read/path.ts'
import { isHttpSource } from '../sources.ts'

export const lowerAdd: Lowering<AddInstruction> = (context, instruction) => {
  const chown = context.expand(instruction.chown)
  const chmod = context.expand(instruction.chmod)
  const checksum = context.expand(instruction.checksum)
  const files = expandSources(context, instruction)
  const from = context.command.sources[0]
  copyFiles(context, {
    ...files,
    keyword: 'ADD',
    source: sourceOf(context, instruction),
    readsContext: from === undefined,
    chown,
    chmod,
    checksum,
    link: instruction.link,
    parents: false,
    excludePatterns: instruction.excludePatterns,
    keepGitDir: instruction.keepGitDir,
    unpack: instruction.unpack,
  })
  const paths = from === undefined ? context.stage.contextPaths : from.paths
  for (const path of files.sourcePaths) {
    if (!isHttpSource(path)) paths.add(joinPath('/', path))
  }
}
