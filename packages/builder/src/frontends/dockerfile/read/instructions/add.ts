import { cutList, readSourcesAndDestination, requireDestination } from '../arguments.ts'
import type { AddInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

const FLAGS = {
  chown: 'string',
  chmod: 'string',
  link: 'boolean',
  'keep-git-dir': 'boolean',
  checksum: 'string',
  unpack: 'boolean',
  exclude: 'list',
} as const

export const addSyntax: InstructionSyntax<AddInstruction> = {
  keyword: 'add',
  takesHeredocs: true,
  cut: cutList,
  parse(raw) {
    requireDestination(raw, 'ADD')
    const { strings, booleans, lists } = readFlags(raw.flags, FLAGS)
    return {
      ...raw,
      kind: 'add',
      ...readSourcesAndDestination(raw, 'ADD'),
      chown: strings.chown ?? '',
      chmod: strings.chmod ?? '',
      link: booleans.link ?? false,
      keepGitDir: booleans['keep-git-dir'],
      checksum: strings.checksum ?? '',
      unpack: booleans.unpack,
      excludePatterns: lists.exclude ?? [],
    }
  },
}
