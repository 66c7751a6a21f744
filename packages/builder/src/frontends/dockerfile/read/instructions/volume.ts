import { cutList, requireArguments } from '../arguments.ts'
import type { VolumeInstruction } from '../ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'
import { trimSpace } from '../../../../base/text.ts'

export const volumeSyntax: InstructionSyntax<VolumeInstruction> = {
  keyword: 'volume',
  cut: cutList,
  parse(raw) {
    requireArguments(raw, 'VOLUME')
    readFlags(raw.flags, {})
    const volumes = raw.args.map(trimSpace)
    if (volumes.includes('')) throw new Complaint('VOLUME specified can not be an empty string')
    return { ...raw, kind: 'volume', volumes }
  },
}
