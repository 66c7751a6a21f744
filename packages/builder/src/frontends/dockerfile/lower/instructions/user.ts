import type { UserInstruction } from '../../read/ast.ts'
import { addHistory } from '../image-config.ts'
import type { Lowering } from '../context.ts'
import type { StageResult } from '../stage-state.ts'

export const lowerUser: Lowering<UserInstruction> = ({ stage, epoch, expand }, instruction) => {
  const user = expand(instruction.user)
  setUser(stage, user)
  addHistory(stage.image, `USER ${user}`, false, epoch)
}

export function setUser(stage: StageResult, user: string): void {
  stage.state.user = user
  stage.image.config.user = user
}
