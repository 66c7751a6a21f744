import type { ImageInspection } from '@ts-oci/builder'
import { defineCommand } from '../define-command.ts'
import { inspect } from '../flags.ts'
import { renderError } from '../render/errors.ts'
import { fillTemplate } from '../render/template.ts'
import { jsonText } from '../render/terminal-text.ts'

export const InspectCommand = defineCommand(inspect, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  const found: ImageInspection[] = []
  const errors: unknown[] = []
  for (const image of args) {
    try {
      found.push(await library.inspect(image, { store: flags.store, platform: flags.platform, signal: io.signal }))
    } catch (error) {
      errors.push(error)
    }
  }
  // What was found is printed although something else was not: scripts of Docker's users count on it.
  io.stdout.write(render(found, flags.format))
  for (const error of errors) io.stderr.write(renderError(error, io.isColored))
  return errors.length === 0 ? 0 : 1
})

function render(found: readonly ImageInspection[], format: string | undefined): string {
  if (format === undefined) return `${jsonText(found, 4)}\n`
  if (format === 'json') return `${jsonText(found)}\n`
  return found.map((one) => `${fillTemplate(format, one)}\n`).join('')
}
