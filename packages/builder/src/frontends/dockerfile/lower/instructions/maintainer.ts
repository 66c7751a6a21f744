import type { MaintainerInstruction } from '../../read/ast.ts'
import { addHistory } from '../image-config.ts'
import type { Lowering } from '../context.ts'

export const lowerMaintainer: Lowering<MaintainerInstruction> = ({ stage, epoch }, instruction) => {
  stage.image.author = instruction.maintainer
  addHistory(stage.image, `MAINTAINER ${instruction.maintainer}`, false, epoch)
}
