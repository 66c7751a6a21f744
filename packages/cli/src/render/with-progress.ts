import type { ProgressSink } from '@ts-oci/builder'
import type { CommandIo } from '../command-io.ts'
import { chooseMode, createRenderer } from './renderer.ts'

/** Shows the progress of `work` as the flags say, and what was held back when it ends or fails. */
export async function withProgress<T>(
  flags: { readonly progress: string | undefined; readonly quiet: boolean },
  phase: string,
  io: CommandIo,
  work: (onProgress: ProgressSink) => Promise<T>,
): Promise<T> {
  const renderer = createRenderer(chooseMode(flags.progress, flags.quiet, io), phase, io)
  try {
    return await work((event) => renderer.event(event))
  } finally {
    renderer.finish()
  }
}
