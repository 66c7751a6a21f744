import type { Writable } from 'node:stream'

/** What a command may touch of the process that runs it; tests give their own. */
export interface CommandIo {
  readonly stdin: NodeJS.ReadStream
  /** Answers. What scripts read comes to them as it is; what a terminal shows does nothing to it. */
  readonly stdout: TextOutput
  /** Progress and errors: a terminal shows them sooner or later, that of a CI's log too. */
  readonly stderr: TextOutput
  /** Standard error as it is, for what moves the cursor itself. */
  readonly terminal: Writable & { readonly columns?: number; readonly rows?: number }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether standard error is coloured. */
  readonly isColored: boolean
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

export interface TextOutput {
  write(text: string): void
  /** What waits for its reader, in bytes. */
  readonly writableLength: number
  readonly isTTY?: boolean
  readonly columns?: number
}

/** An action's status is the process's exit status. */
export type Action<Input> = (input: Input, io: CommandIo) => Promise<number>
