import { cutBlanks, requireArguments } from '../arguments.ts'
import type { ExposeInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'
import { compareBytes } from '../../../../base/text.ts'

export const exposeSyntax: InstructionSyntax<ExposeInstruction> = {
  keyword: 'expose',
  cut: cutBlanks,
  parse(raw) {
    requireArguments(raw, 'EXPOSE')
    readFlags(raw.flags, {})
    return { ...raw, kind: 'expose', ports: [...raw.args].sort(compareBytes) }
  },
}
