import { cutPairs, readPairs } from '../arguments.ts'
import type { LabelInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

export const labelSyntax: InstructionSyntax<LabelInstruction> = {
  keyword: 'label',
  cut: (rest, context) => cutPairs(rest, 'LABEL', context),
  parse(raw) {
    readFlags(raw.flags, {})
    return { ...raw, kind: 'label', pairs: readPairs(raw, 'LABEL') }
  },
}
