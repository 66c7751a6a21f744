import type { CommandIo } from './command-io.ts'
import { UsageError } from './usage-error.ts'

/** An archive on a terminal helps nobody; in Docker's words. @throws UsageError */
export function refuseTerminal(command: string, output: string | undefined, io: CommandIo): void {
  if ((output !== undefined && output !== '-') || io.stdout.isTTY !== true) return
  throw new UsageError(`cowardly refusing to save to a terminal. Use the -o flag or redirect`, {
    hint: `tsbuild ${command} -o FILE …`,
    exitCode: 1,
  })
}
