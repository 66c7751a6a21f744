import { cutBlanks } from '../arguments.ts'
import type { FromInstruction } from '../ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'
import { lowerCase, quote } from '../../../../base/text.ts'

const STAGE_NAME = /^[a-z][a-z0-9\-_.]*$/

export const fromSyntax: InstructionSyntax<FromInstruction> = {
  keyword: 'from',
  cut: cutBlanks,
  parse(raw) {
    const stageName = readStageName(raw.args)
    const { strings } = readFlags(raw.flags, { platform: 'string' })
    return {
      ...raw,
      kind: 'from',
      baseName: raw.args[0]!,
      stageName,
      stageNameAsWritten: raw.args[2] ?? '',
      asKeyword: raw.args[1] ?? '',
      platform: strings.platform ?? '',
    }
  },
}

function readStageName(args: readonly string[]): string {
  if (args.length === 1) return ''
  // The flag u folds case as Unicode does, so that U+017F counts as an s.
  if (args.length !== 3 || !/^as$/iu.test(args[1]!)) {
    throw new Complaint('FROM requires either one or three arguments')
  }
  const name = lowerCase(args[2]!)
  if (!STAGE_NAME.test(name)) {
    throw new Complaint(
      `invalid name for build stage: ${quote(args[2]!)}, name can't start with a number or contain symbols`,
    )
  }
  return name
}
