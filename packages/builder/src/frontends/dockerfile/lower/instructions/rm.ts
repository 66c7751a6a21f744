import type { RmInstruction } from '../../read/ast.ts'
import { addHistory } from '../image-config.ts'
import type { Lowering } from '../context.ts'
import { addFileAction } from '../file-action.ts'
import { actionPath } from '../../read/path.ts'

export const lowerRm: Lowering<RmInstruction> = (context, { path }) => {
  const { stage, epoch } = context
  const removed = actionPath(stage.state.directory, path, false)
  addFileAction(context, () => ({ kind: 'rm', path: removed, allowNotFound: true, allowWildcard: true }))
  addHistory(stage.image, `REMOVE ${path}`, true, epoch)
}
