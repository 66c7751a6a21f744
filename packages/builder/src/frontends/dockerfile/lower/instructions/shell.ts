import type { ShellInstruction } from '../../read/ast.ts'
import { addHistory, type DraftImage } from '../image-config.ts'
import type { Lowering } from '../context.ts'
import { formatList } from '../go-format.ts'

const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c']
const WINDOWS_SHELL: readonly string[] = ['cmd', '/S', '/C']

export const lowerShell: Lowering<ShellInstruction> = ({ stage, epoch }, { shell }) => {
  stage.image.config.shell = shell
  addHistory(stage.image, `SHELL ${formatList(shell)}`, false, epoch)
}

/** The command line that the image's shell runs. */
export function withShell(image: DraftImage, args: readonly string[]): string[] {
  const { shell } = image.config
  const standard = image.platform?.os === 'windows' ? WINDOWS_SHELL : DEFAULT_SHELL
  return [...(shell.length > 0 ? shell : standard), args.join(' ')]
}
