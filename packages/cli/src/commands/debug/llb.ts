import { writeFile } from 'node:fs/promises'
import { buildArguments } from '../../build/options.ts'
import { registryOptions } from '../../common-options.ts'
import { defineCommand } from '../../define-command.ts'
import { debugLlb } from '../../flags.ts'

export const DebugLlbCommand = defineCommand(debugLlb, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  const { json, binary } = await library.toLlb({
    context: args[0],
    file: flags.file,
    target: flags.target,
    platform: flags.platform,
    buildArgs: buildArguments(flags['build-arg'], io.env),
    store: flags.store,
    signal: io.signal,
    ...registryOptions(flags),
  })
  if (flags.output === undefined) io.stdout.write(`${JSON.stringify(json, null, 2)}\n`)
  else await writeFile(flags.output, binary)
  return 0
})
