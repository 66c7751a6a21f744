import { defineCommand } from '../../define-command.ts'
import { buildxInspect } from '../../flags.ts'
import { UsageError } from '../../usage-error.ts'

export const BuildxInspectCommand = defineCommand(buildxInspect, async ({ args, flags }, io) => {
  const name = args[0] ?? flags.builder ?? 'default'
  if (name !== 'default')
    throw new UsageError(`no builder ${JSON.stringify(name)} found`, {
      hint: 'there is one, default: this machine',
      exitCode: 1,
    })
  const library = await import('@ts-oci/builder')
  const { version } = await import('../../help/answer.ts')
  const { store, platforms } = library.builderNode({ store: flags.store })
  const lines = [
    'Name:   default',
    'Driver: tsbuild',
    '',
    'Nodes:',
    'Name:             default',
    `Endpoint:         ${store}`,
    'Status:           running',
    `BuildKit version: ${version().trim()}`,
    `Platforms:        ${platforms.join(', ')}`,
  ]
  io.stdout.write(`${lines.join('\n')}\n`)
  return 0
})
