import { blankNames, findDocComment, requireArguments } from '../arguments.ts'
import type { ArgDefinition, ArgInstruction } from '../ast.ts'
import type { InstructionSyntax } from '../syntax.ts'
import { splitWords } from '../words.ts'

export const argSyntax: InstructionSyntax<ArgInstruction> = {
  keyword: 'arg',
  cut: (rest, { escape }) => ({ args: splitWords(rest, escape) }),
  // Flags are not looked at, so none is refused.
  parse(raw) {
    requireArguments(raw, 'ARG')
    return { ...raw, kind: 'arg', definitions: raw.args.map((word) => readDefinition(word, raw.comments)) }
  },
}

function readDefinition(word: string, comments: readonly string[]): ArgDefinition {
  const at = word.indexOf('=')
  if (at === 0) throw blankNames('ARG')
  const key = at === -1 ? word : word.slice(0, at)
  return { key, value: at === -1 ? undefined : word.slice(at + 1), docComment: findDocComment(comments, key) }
}
