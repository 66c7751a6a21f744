import { cutWhole, requireOneArgument } from '../arguments.ts'
import type { StopsignalInstruction } from '../ast.ts'
import type { InstructionSyntax } from '../syntax.ts'

export const stopsignalSyntax: InstructionSyntax<StopsignalInstruction> = {
  keyword: 'stopsignal',
  cut: cutWhole,
  // Flags are not looked at, so none is refused.
  parse: (raw) => ({ ...raw, kind: 'stopsignal', signal: requireOneArgument(raw, 'STOPSIGNAL') }),
}
