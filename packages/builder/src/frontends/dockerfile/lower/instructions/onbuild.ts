import type { OnbuildInstruction } from '../../read/ast.ts'
import type { Lowering } from '../context.ts'

/** A trigger is kept for those who build on the image; it leaves nothing in the history. */
export const lowerOnbuild: Lowering<OnbuildInstruction> = ({ stage }, instruction) => {
  stage.image.config.onBuild.push(instruction.expression)
}
