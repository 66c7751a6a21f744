import type { MkdirInstruction } from '../../read/ast.ts'
import { addHistory } from '../image-config.ts'
import type { Lowering } from '../context.ts'
import { addFileAction } from '../file-action.ts'
import { parseOwner } from '../owner.ts'
import { actionPath, checkPathLength } from '../../read/path.ts'

export const lowerMkdir: Lowering<MkdirInstruction> = (context, { path, mode, owner }) => {
  const { stage, epoch } = context
  const directory = actionPath(stage.state.directory, path, false)
  checkPathLength(directory)
  addFileAction(context, (input) => ({
    kind: 'mkdir',
    path: directory,
    mode,
    makeParents: true,
    ...(owner === '' ? {} : { owner: parseOwner(owner, input) }),
    timestamp: epoch === undefined ? -1 : epoch * 1e9,
  }))
  addHistory(stage.image, `DIRECTORY ${path}`, true, epoch)
}
