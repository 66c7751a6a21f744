import type { AddInstruction } from '../../read/ast.ts'
import type { Lowering } from '../context.ts'
import { copyFiles, expandSources } from '../copy-files.ts'
import { joinPath } from '../../read/path.ts'
import { isHttpSource } from '../sources.ts'

export const lowerAdd: Lowering<AddInstruction> = (context, instruction) => {
  const chown = context.expand(instruction.chown)
  const chmod = context.expand(instruction.chmod)
  const checksum = context.expand(instruction.checksum)
  const files = expandSources(context, instruction)
  copyFiles(context, {
    ...files,
    keyword: 'ADD',
    source: context.contextOutput,
    readsContext: true,
    chown,
    chmod,
    checksum,
    link: instruction.link,
    parents: false,
    excludePatterns: instruction.excludePatterns,
    keepGitDir: instruction.keepGitDir,
    unpack: instruction.unpack,
  })
  for (const path of files.sourcePaths) {
    if (!isHttpSource(path)) context.stage.contextPaths.add(joinPath('/', path))
  }
}
