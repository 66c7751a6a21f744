import type { EnvInstruction } from '../../read/ast.ts'
import { checkLegacyKeyValueFormat } from '../../checks/legacy-key-value-format.ts'
import { checkSecretsUsedInArgOrEnv } from '../../checks/secrets-used-in-arg-or-env.ts'
import { addHistory } from '../image-config.ts'
import { setVariable } from '../build-state.ts'
import type { Lowering } from '../context.ts'

/** All pairs see the values from before the instruction. */
export const lowerEnv: Lowering<EnvInstruction> = ({ stage, epoch, linter, expand }, instruction) => {
  const pairs = instruction.pairs.map((pair) => ({ ...pair, key: expand(pair.key), value: expand(pair.value) }))
  for (const pair of pairs) {
    checkLegacyKeyValueFormat(instruction, pair, linter)
    checkSecretsUsedInArgOrEnv('ENV', pair.key, instruction.location, linter)
    setVariable(stage.state, pair.key, pair.value)
    stage.image.config.env.set(pair.key, pair.value)
  }
  addHistory(stage.image, `ENV${pairs.map(({ key, value }) => ` ${key}=${value}`).join('')}`, false, epoch)
}
