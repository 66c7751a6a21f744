import { cutPairs, readPairs } from '../arguments.ts'
import type { EnvInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

export const envSyntax: InstructionSyntax<EnvInstruction> = {
  keyword: 'env',
  cut: (rest, context) => cutPairs(rest, 'ENV', context),
  parse(raw) {
    readFlags(raw.flags, {})
    return { ...raw, kind: 'env', pairs: readPairs(raw, 'ENV') }
  },
}
