import { cutWhole, requireOneArgument } from '../arguments.ts'
import type { MaintainerInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

export const maintainerSyntax: InstructionSyntax<MaintainerInstruction> = {
  keyword: 'maintainer',
  cut: cutWhole,
  parse(raw) {
    const maintainer = requireOneArgument(raw, 'MAINTAINER')
    readFlags(raw.flags, {})
    return { ...raw, kind: 'maintainer', maintainer }
  },
}
