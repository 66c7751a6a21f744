import { cutList, readSourcesAndDestination, requireDestination } from '../arguments.ts'
import type { CopyInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

const FLAGS = {
  chown: 'string',
  from: 'string',
  chmod: 'string',
  link: 'boolean',
  exclude: 'list',
  parents: 'boolean',
} as const

export const copySyntax: InstructionSyntax<CopyInstruction> = {
  keyword: 'copy',
  takesHeredocs: true,
  cut: cutList,
  parse(raw) {
    requireDestination(raw, 'COPY')
    const { strings, booleans, lists } = readFlags(raw.flags, FLAGS)
    return {
      ...raw,
      kind: 'copy',
      ...readSourcesAndDestination(raw, 'COPY'),
      from: strings.from ?? '',
      chown: strings.chown ?? '',
      chmod: strings.chmod ?? '',
      link: booleans.link ?? false,
      parents: booleans.parents ?? false,
      excludePatterns: lists.exclude ?? [],
    }
  },
}
