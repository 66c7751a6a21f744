import { defineCommand } from '../define-command.ts'
import { load } from '../flags.ts'
import { withProgress } from '../render/with-progress.ts'
import { UsageError } from '../usage-error.ts'

export const LoadCommand = defineCommand(load, async ({ flags }, io) => {
  const { input, store, platform } = flags
  if ((input === undefined || input === '-') && io.stdin.isTTY)
    throw new UsageError('requested load from stdin, but stdin is empty', {
      hint: 'tsbuild load -i FILE',
      exitCode: 1,
    })
  const library = await import('@ts-oci/builder')
  const isShown = flags.progress !== undefined && !flags.quiet
  const loaded = await withProgress({ progress: flags.progress, quiet: !isShown }, 'Loading', io, (onProgress) =>
    library.load({ input, store, platform, onProgress, stdin: io.stdin, signal: io.signal }),
  )
  for (const { names, id } of loaded) {
    for (const name of names) io.stdout.write(`Loaded image: ${name}\n`)
    if (names.length === 0) io.stdout.write(`Loaded image ID: ${id}\n`)
  }
  return 0
})
