import { requireArguments } from '../arguments.ts'
import type { OnbuildInstruction, RawInstruction } from '../ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'
import { trimSpace, upperCase } from '../../../../base/text.ts'

export const onbuildSyntax: InstructionSyntax<OnbuildInstruction> = {
  keyword: 'onbuild',
  wrapsInstruction: true,
  cut(rest, { cutInstruction }) {
    if (rest === '') return { args: [] }
    const child = cutInstruction(rest)
    return { args: [child.keyword, ...child.args], child }
  },
  parse(raw) {
    requireArguments(raw, 'ONBUILD')
    readFlags(raw.flags, {})
    const trigger = upperCase(trimSpace(raw.args[0]!))
    if (trigger === 'ONBUILD') throw new Complaint("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if (trigger === 'MAINTAINER' || trigger === 'FROM') {
      throw new Complaint(`${trigger} isn't allowed as an ONBUILD trigger`)
    }
    return { ...raw, kind: 'onbuild', expression: deferredText(raw) }
  },
}

function deferredText(raw: RawInstruction): string {
  const line = raw.original.replace(/^[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*/i, '')
  return raw.heredocs.reduce((text, { content, name }) => `${text}\n${content}${name}`, line)
}
