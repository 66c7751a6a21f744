import { cutCommand, readCommandLine } from '../arguments.ts'
import type { EntrypointInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

export const entrypointSyntax: InstructionSyntax<EntrypointInstruction> = {
  keyword: 'entrypoint',
  cut: cutCommand,
  parse(raw) {
    readFlags(raw.flags, {})
    return { ...raw, kind: 'entrypoint', command: readCommandLine(raw) }
  },
}
