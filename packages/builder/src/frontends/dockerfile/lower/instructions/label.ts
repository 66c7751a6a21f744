import type { LabelInstruction } from '../../read/ast.ts'
import { checkLegacyKeyValueFormat } from '../../checks/legacy-key-value-format.ts'
import { addHistory } from '../image-config.ts'
import type { Lowering } from '../context.ts'

export const lowerLabel: Lowering<LabelInstruction> = ({ stage, epoch, linter, expand }, instruction) => {
  const pairs = instruction.pairs.map((pair) => ({ ...pair, key: expand(pair.key), value: expand(pair.value) }))
  for (const pair of pairs) {
    checkLegacyKeyValueFormat(instruction, pair, linter)
    stage.image.config.labels.set(pair.key, pair.value)
  }
  addHistory(stage.image, `LABEL${pairs.map(({ key, value }) => ` ${key}=${value}`).join('')}`, false, epoch)
}
