import type { WorkdirInstruction } from '../../read/ast.ts'
import { checkWorkdirRelativePath } from '../../checks/workdir-relative-path.ts'
import { addHistory } from '../image-config.ts'
import type { InstructionContext, Lowering } from '../context.ts'
import { addFileAction } from '../file-action.ts'
import { parseOwner } from '../owner.ts'
import { absolutePath, actionPath, checkPathLength, cleanPath } from '../../read/path.ts'
import type { StageResult } from '../stage-state.ts'

const MODE = 0o755

/** Makes the directory, a layer of its own, as the current user; not for the root. */
export const lowerWorkdir: Lowering<WorkdirInstruction> = (context, instruction) => {
  const { stage, epoch } = context
  const path = context.expand(instruction.path)
  checkWorkdirRelativePath(instruction, path, !stage.isWorkdirSet, context.linter)
  stage.isWorkdirSet = true
  setDirectory(stage, path)
  const directory = stage.state.directory
  const hasLayer = directory !== '/'
  if (hasLayer) makeDirectory(context, directory)
  addHistory(stage.image, `WORKDIR ${directory}`, hasLayer, epoch)
}

/** Changes the working directory; an absolute path is kept as it is written. */
export function setDirectory(stage: StageResult, path: string): void {
  const written = stage.platform?.os === 'windows' ? withoutDrive(path) : path
  const directory = absolutePath(stage.image.config.workingDir, written, false)
  stage.image.config.workingDir = directory
  stage.state.directory = directory
}

/** A path of Windows with slashes, from the root of its drive: the form that file actions know. */
function withoutDrive(path: string): string {
  return cleanPath(path.replaceAll('\\', '/').replace(/^[a-zA-Z]:/, ''))
}

function makeDirectory(context: InstructionContext, directory: string): void {
  const { stage, epoch } = context
  const { user } = stage.image.config
  checkPathLength(directory)
  addFileAction(context, (input) => ({
    kind: 'mkdir',
    path: actionPath(directory, directory, false),
    mode: MODE,
    makeParents: true,
    ...(user === '' ? {} : { owner: parseOwner(user, input) }),
    timestamp: epoch === undefined ? -1 : epoch * 1e9,
  }))
}
