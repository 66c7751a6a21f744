import type { EnvInstruction, KeyValue, LabelInstruction } from '../read/ast.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const legacyKeyValueFormat: CheckRule = {
  name: 'LegacyKeyValueFormat',
  description: 'Legacy key/value format with whitespace separator should not be used',
  url: documentationOf('legacy-key-value-format'),
}

export function checkLegacyKeyValueFormat(
  instruction: EnvInstruction | LabelInstruction,
  pair: KeyValue,
  linter: Linter,
): void {
  if (!pair.noDelimiter) return
  const { keyword, location } = instruction
  linter.report(
    legacyKeyValueFormat,
    location,
    `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`,
  )
}
